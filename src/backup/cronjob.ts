/**
 * The objects that run a policy on its schedule without an operator: the policy in a ConfigMap, a CronJob, and an
 * account with the rights of src/backup/rights.ts. Pure: text out, for `kubectl apply` or a Git repository.
 */
import { stringify } from 'yaml';
import { HoldfastError } from '../base/errors.ts';
import type { BackupPolicy, RepositoryDocument } from '../policy/schema.ts';
import { backupClusterRole, backupRole, hookRole } from './rights.ts';

export interface CronJobOptions {
  readonly policy: BackupPolicy;
  readonly repository: RepositoryDocument;
  /** Of the CronJob's own pod and of the movers. */
  readonly image: string;
  readonly imagePullSecrets?: readonly string[];
  readonly clusterName?: string | undefined;
}

const CONTAINER = 'holdfast';
const POLICY_FOLDER = '/etc/holdfast';
const POLICY_FILE = 'policy.yaml';
/** YAML documents. Throws POLICY_INVALID for a policy without schedule. */
export function renderCronJob(options: CronJobOptions): string {
  return cronJobObjects(options)
    .map((object) => stringify(object, { lineWidth: 120, aliasDuplicateObjects: false }))
    .join('---\n');
}

export function cronJobObjects(options: CronJobOptions): object[] {
  const { policy, repository } = options;
  const { namespace } = policy.metadata;
  const name = `holdfast-${policy.metadata.name}`;
  const source = `policy ${namespace}/${policy.metadata.name}`;
  if (policy.spec.schedule === undefined) {
    throw new HoldfastError('POLICY_INVALID', {
      source,
      problem: 'it has no spec.schedule, so nothing would start it',
    });
  }
  const metadata = { name, namespace, labels: { 'app.kubernetes.io/name': 'holdfast' } };
  // Cluster-wide names need the namespace in them.
  const wide = { name: `holdfast-${namespace}-${policy.metadata.name}`, labels: metadata.labels };
  const subjects = [{ kind: 'ServiceAccount', name, namespace }];
  const rbac = 'rbac.authorization.k8s.io';
  const file = [repository, policy].map((document) => stringify(document, { lineWidth: 0 })).join('---\n');
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [POLICY_FILE]: file } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata, automountServiceAccountToken: false },
    { apiVersion: `${rbac}/v1`, kind: 'Role', metadata, rules: [...backupRole, ...hookRole(policy.spec.hooks)] },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup: rbac, kind: 'Role', name },
      subjects,
    },
    { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata: wide, rules: backupClusterRole },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: wide,
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: wide.name },
      subjects,
    },
    { apiVersion: 'batch/v1', kind: 'CronJob', metadata, spec: cronJobSpec(options, policy.spec.schedule, name) },
  ];
}

type Schedule = NonNullable<BackupPolicy['spec']['schedule']>;

function cronJobSpec(options: CronJobOptions, schedule: Schedule, name: string): object {
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
        template: { spec: podSpec(options, name) },
      },
    },
  };
}

function podSpec({ policy, repository, image, imagePullSecrets = [], clusterName }: CronJobOptions, name: string) {
  return {
    serviceAccountName: name,
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
    containers: [
      {
        name: CONTAINER,
        image,
        imagePullPolicy: 'IfNotPresent',
        args: [
          'backup',
          ...['--policy', `${POLICY_FOLDER}/${POLICY_FILE}`, '--mover-image', image],
          ...imagePullSecrets.flatMap((secret) => ['--image-pull-secret', secret]),
          ...(clusterName === undefined ? [] : ['--cluster-name', clusterName]),
        ],
        env: [
          { name: 'HOME', value: '/tmp' },
          { name: 'HOLDFAST_POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
        ],
        envFrom: [{ secretRef: { name: repository.spec.secretName } }],
        resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '1Gi' } },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        volumeMounts: [
          { name: 'policy', mountPath: POLICY_FOLDER, readOnly: true },
          { name: 'tmp', mountPath: '/tmp' },
        ],
      },
    ],
    volumes: [
      { name: 'policy', configMap: { name: `holdfast-${policy.metadata.name}` } },
      { name: 'tmp', emptyDir: {} },
    ],
  };
}
