/**
 * The options of commands that work on claims. They stand apart from the work, so that `--dir` loads nothing of a cluster.
 */
import { HoldfastError } from '../base/errors.ts';
import { type LayoutChoice, layoutChoices } from '../base/layouts.ts';
import { parseSize } from '../base/units.ts';
import { flag, type OptionValues, parsed, text, texts } from './command.ts';

export const moverOptions = {
  moverImage: text('--mover-image <image>', "image of the mover's pod (default: $HOLDFAST_MOVER_IMAGE)"),
  imagePullSecret: texts('--image-pull-secret <name>', 'Secret with which the image is pulled'),
  repositorySecret: text(
    '--repository-secret <name>',
    "Secret in the claim's namespace with HOLDFAST_PASSWORD and AWS_… as keys",
  ),
  sendCredentials: flag(
    '--send-credentials',
    'put the password and S3 credentials of this environment into a Secret for the time of the run',
  ),
};
export type MoverOptionValues = OptionValues<typeof moverOptions>;

export const policyOptions = {
  policy: text('--policy <file>', 'by a policy file instead: its claims, its repository, its retention'),
  policyName: text('--policy-name <name>', 'which of its policies, where it has several'),
};

export const claimBackupOptions = {
  method: parsed('--method <method>', 'auto, SnapshotMove or FileCopy (default: by the policy, or auto)', parseMethod),
  snapshotClass: text('--snapshot-class <name>', 'VolumeSnapshotClass (default: the only one that fits the driver)'),
  parallel: parsed('--parallel <n>', 'how many claims at a time (default: by the policy, or 3)', parseCount),
  clusterName: text('--cluster-name <name>', 'host of the backups (default: cluster-<first 8 of its uid>)'),
  clusterUid: text('--cluster-uid <uid>', 'identity of the cluster (default: UID of the namespace kube-system)'),
  layout: parsed(
    '--layout <layout>',
    `shape of the backups: ${layoutChoices.join(', ')} (default: auto, as the claim's newest backup)`,
    parseLayout,
  ),
  keepOnFailure: flag('--keep-on-failure', 'leave snapshot, temporary claim and Job of a failed run for a look'),
  ...moverOptions,
};
/** `plan` is of all ways to back up. */
export type ClaimBackupOptionValues = OptionValues<typeof claimBackupOptions> & { readonly plan: boolean };

export const claimRestoreOptions = {
  to: parsed('--to <namespace/claim>', 'the claim to make (default: as it was)', parseClaim),
  zone: text('--zone <zone>', 'where its volume is to be: a zone, or any (default: as it was)'),
  mapZone: texts('--map-zone <old=new>', 'where a zone of the old cluster is in this one, if it is not here'),
  storageClass: text('--storage-class <name>', 'storage class of the new volume (default: as it was)'),
  size: parsed('--size <size>', 'size of the new volume, as 20Gi (default: as it was)', parseSize),
  createNamespace: flag('--create-namespace', 'make the namespace if it does not exist'),
  allowIncomplete: flag('--allow-incomplete', 'also restore a backup in which files are missing'),
  plan: flag('--plan', 'show what would be made, where and why, and make nothing'),
  abandon: flag('--abandon', 'remove what an unfinished restore of this backup into this claim left'),
  clusterUid: text('--cluster-uid <uid>', 'identity of the cluster (default: UID of the namespace kube-system)'),
  ...moverOptions,
};
export type ClaimRestoreOptionValues = OptionValues<typeof claimRestoreOptions>;

const methods = ['auto', 'SnapshotMove', 'FileCopy'] as const;

function parseMethod(given: string): (typeof methods)[number] {
  const found = methods.find((method) => method.toLowerCase() === given.toLowerCase());
  if (found === undefined) throw new Error(`is none of ${methods.join(', ')}`);
  return found;
}

function parseCount(given: string): number {
  if (!/^[1-9]\d{0,3}$/.test(given)) throw new Error('has to be a number above 0');
  return Number(given);
}

/** `['eu-1a=us-1a']` → a map from old zones to new ones. */
export function parseZoneMap(given: readonly string[]): Readonly<Record<string, string>> {
  const pairs = given.map((one) => one.split('='));
  const wrong = pairs.find(([from = '', to = '', ...rest]) => from === '' || to === '' || rest.length > 0);
  if (wrong)
    throw new HoldfastError('USAGE', { problem: `"${wrong.join('=')}" is no pair of zones: expected OLD=NEW` });
  return Object.fromEntries(pairs);
}

function parseLayout(given: string): LayoutChoice {
  const layout = layoutChoices.find((choice) => choice === given);
  if (layout === undefined) throw new Error(`expected one of ${layoutChoices.join(', ')}`);
  return layout;
}

/** `shop/data` → namespace and name. */
export function parseClaim(given: string): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = '', ...rest] = given.split('/');
  if (namespace === '' || name === '' || rest.length > 0) {
    throw new HoldfastError('USAGE', { problem: `"${given}" is no claim: expected NAMESPACE/CLAIM` });
  }
  return { namespace, name };
}
