/**
 * The objects that run a policy on its schedule without an operator: the policy in a ConfigMap, a CronJob, and an
 * account with the rights of src/backup/rights.ts. Pure: text out, for `kubectl apply` or a Git repository.
 */
import { createHash } from 'node:crypto';
import { stringify } from 'yaml';
import { HoldfastError } from '../base/errors.ts';
import type { BackupPolicy, RepositoryDocument } from '../policy/schema.ts';
import { accountObjects, type CronJobHome, cronJobLabels, moverAccount } from './cronjob-account.ts';

export interface CronJobOptions {
  readonly policy: BackupPolicy;
  readonly repository: RepositoryDocument;
  /** Of the CronJob's own pod and of the movers. */
  readonly image: string;
  readonly imagePullSecrets?: readonly string[];
  readonly clusterName?: string | undefined;
  /** Holdfast's own namespace, for policies whose movers run there: so does the CronJob, with the credentials. */
  readonly ownNamespace: string;
}

const CONTAINER = 'holdfast';
const POLICY_FOLDER = '/etc/holdfast/policy';
const CREDENTIALS_FOLDER = '/etc/holdfast/credentials';
const POLICY_FILE = 'policy.yaml';
/** YAML documents. Throws POLICY_INVALID for a policy without schedule. */
export function renderCronJob(options: CronJobOptions): string {
  return cronJobObjects(options)
    .map((object) => stringify(object, { lineWidth: 120, aliasDuplicateObjects: false }))
    .join('---\n');
}

export function cronJobObjects(options: CronJobOptions): object[] {
  const { policy, repository, ownNamespace } = options;
  const source = `policy ${policy.metadata.namespace}/${policy.metadata.name}`;
  if (policy.spec.schedule === undefined) {
    throw new HoldfastError('POLICY_INVALID', {
      source,
      problem: 'it has no spec.schedule, so nothing would start it',
    });
  }
  const home = homeOf(policy, ownNamespace);
  const metadata = { ...home, labels: cronJobLabels };
  const file = [repository, policy].map((document) => stringify(document, { lineWidth: 0 })).join('---\n');
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [POLICY_FILE]: file } },
    ...accountObjects(policy, home),
    { apiVersion: 'batch/v1', kind: 'CronJob', metadata, spec: cronJobSpec(options, policy.spec.schedule, home) },
  ];
}

/** Policies of several namespaces meet in Holdfast's own one. A CronJob's name has at most 52 characters. */
function homeOf({ metadata, spec }: BackupPolicy, ownNamespace: string): CronJobHome {
  const { namespace, name } = metadata;
  if (spec.mover?.namespace !== 'own' || ownNamespace === namespace) return { namespace, name: `holdfast-${name}` };
  const digest = createHash('sha256').update(`${namespace}/${name}`).digest('hex').slice(0, 6);
  return { namespace: ownNamespace, name: `holdfast-${name.slice(0, 36)}-${digest}` };
}

type Schedule = NonNullable<BackupPolicy['spec']['schedule']>;

function cronJobSpec(options: CronJobOptions, schedule: Schedule, home: CronJobHome): object {
  return {
    schedule: schedule.cron,
    ...(schedule.timeZone === undefined ? {} : { timeZone: schedule.timeZone }),
    suspend: schedule.suspend ?? false,
    // A run that takes longer than the schedule's interval is not overtaken.
    concurrencyPolicy: 'Forbid',
    // A start that was missed for an hour is made up for, once.
    startingDeadlineSeconds: 3600,
    successfulJobsHistoryLimit: 3,
    failedJobsHistoryLimit: 3,
    jobTemplate: {
      spec: {
        backoffLimit: 1,
        // Files that could not be read are not readable a minute later: such a run is not repeated.
        podFailurePolicy: {
          rules: [{ action: 'FailJob', onExitCodes: { containerName: CONTAINER, operator: 'In', values: [3] } }],
        },
        ttlSecondsAfterFinished: 7 * 86_400,
        template: { spec: podSpec(options, home) },
      },
    },
  };
}

function podSpec(options: CronJobOptions, home: CronJobHome) {
  const { repository, imagePullSecrets = [] } = options;
  return {
    serviceAccountName: home.name,
    automountServiceAccountToken: true,
    restartPolicy: 'Never',
    ...(imagePullSecrets.length === 0
      ? {}
      : { imagePullSecrets: imagePullSecrets.map((secret) => ({ name: secret })) }),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [container(options, home)],
    volumes: [
      { name: 'policy', configMap: { name: home.name } },
      { name: 'tmp', emptyDir: {} },
      { name: 'credentials', secret: { secretName: repository.spec.secretName, defaultMode: 0o444 } },
    ],
  };
}

function container({ policy, image, imagePullSecrets = [], clusterName }: CronJobOptions, home: CronJobHome): object {
  const { namespace } = policy.metadata;
  return {
    name: CONTAINER,
    image,
    imagePullPolicy: 'IfNotPresent',
    args: [
      'backup',
      ...['--policy', `${POLICY_FOLDER}/${POLICY_FILE}`, '--mover-image', image],
      ...['--mover-service-account', moverAccount(policy, home)],
      ...(home.namespace === namespace ? [] : ['--own-namespace', home.namespace]),
      ...imagePullSecrets.flatMap((secret) => ['--image-pull-secret', secret]),
      ...(clusterName === undefined ? [] : ['--cluster-name', clusterName]),
    ],
    env: [
      { name: 'HOME', value: '/tmp' },
      { name: 'HOLDFAST_POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
      { name: 'HOLDFAST_CREDENTIALS_DIR', value: CREDENTIALS_FOLDER },
    ],
    resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '1Gi' } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'policy', mountPath: POLICY_FOLDER, readOnly: true },
      { name: 'credentials', mountPath: CREDENTIALS_FOLDER, readOnly: true },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  };
}
