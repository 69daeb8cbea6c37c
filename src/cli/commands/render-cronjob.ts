import { renderCronJob } from '../../backup/cronjob.ts';
import { HoldfastError } from '../../base/errors.ts';
import { defineCommand, text, texts } from '../command.ts';
import { moverSettings } from '../mover-access.ts';
import { readPolicy } from '../policy-run.ts';

export const renderCronJobCommand = defineCommand({
  description:
    'The manifests are printed as YAML, for `kubectl apply -f -` or a Git repository: the policy in a ConfigMap, a ' +
    'CronJob, and an account with the rights that it needs. The Secret that the policy names is yours to make.',
  options: {
    policy: text('--policy <file>', 'the policy file'),
    policyName: text('--policy-name <name>', 'which of its policies, where it has several'),
    image: text('--image <image>', 'image of Holdfast for the CronJob and its movers (default: $HOLDFAST_MOVER_IMAGE)'),
    imagePullSecret: texts('--image-pull-secret <name>', 'Secret with which the image is pulled'),
    ownNamespace: text(
      '--own-namespace <name>',
      "Holdfast's own namespace, for policies with movers there (default: $HOLDFAST_NAMESPACE, or holdfast)",
    ),
    clusterName: text('--cluster-name <name>', 'host of the backups (default: cluster-<first 8 of its uid>)'),
  },
  examples: [
    [
      'holdfast render cronjob --policy nightly.yaml --image registry.example.com/holdfast:0.1.0 | kubectl apply -f -',
      'install it',
    ],
  ],
  exitCodes: [],
  run: async ({ policy: path, policyName, image, imagePullSecret, ownNamespace, clusterName }, _, context) => {
    if (path === undefined) throw new HoldfastError('USAGE', { problem: 'No policy was named: give --policy FILE' });
    const { policy, repository } = await readPolicy(path, policyName);
    const settings = moverSettings({ moverImage: image, imagePullSecret }, context, policy);
    const manifests = renderCronJob({
      policy,
      repository,
      image: settings.image,
      imagePullSecrets: imagePullSecret,
      clusterName,
      ownNamespace: ownNamespace ?? context.settings.ownNamespace,
    });
    context.output.text(manifests);
  },
});
