/**
 * The rights that backups need, in two steps: a Role in the namespace of the claims, and a ClusterRole for what has no
 * namespace. docs/rights.md explains each line; test/cluster/tests/policy.test.ts runs with exactly these.
 */
import type { BackupPolicy } from '../policy/schema.ts';

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

export const backupRole: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['persistentvolumeclaims'], verbs: ['get', 'list', 'watch', 'create', 'delete'] },
  { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'create'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
  { apiGroups: [''], resources: ['events'], verbs: ['list'] },
  { apiGroups: ['batch'], resources: ['jobs'], verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'] },
  { apiGroups: ['apps'], resources: ['replicasets'], verbs: ['get'] },
  {
    apiGroups: ['snapshot.storage.k8s.io'],
    resources: ['volumesnapshots'],
    verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
  },
  {
    apiGroups: ['groupsnapshot.storage.k8s.io'],
    resources: ['volumegroupsnapshots'],
    verbs: ['get', 'list', 'watch', 'create', 'delete'],
  },
];

/** Only where hooks or ExecStream run commands. Since 1.35 `create` is asked for, before that `get` was (R9.7). */
export const commandRole: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['pods/exec'], verbs: ['get', 'create'] },
];

/** Only where hooks scale to zero. */
export const scaleHookRole: readonly PolicyRule[] = [
  { apiGroups: ['apps'], resources: ['statefulsets', 'deployments'], verbs: ['get', 'list', 'watch', 'patch'] },
];

/** What a policy needs in the pods of its claims, beyond backupRole. */
export function podRole({ hooks = [], method, methods = [] }: BackupPolicy['spec']): readonly PolicyRule[] {
  const scales = hooks.some(({ scaleToZero }) => scaleToZero !== undefined);
  const streams = [method, ...methods.map((rule) => rule.method)].includes('ExecStream');
  const commands = streams || hooks.some(({ pods }) => pods !== undefined);
  return [...(commands ? commandRole : []), ...(scales ? scaleHookRole : [])];
}

/** Instead of backupRole where movers run elsewhere and never beside the claims. */
export const snapshotOnlyRole: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['persistentvolumeclaims', 'pods'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['batch'], resources: ['jobs'], verbs: ['get', 'list'] },
  ...backupRole.filter(({ apiGroups: [group = ''] }) => group === 'apps' || group.endsWith('snapshot.storage.k8s.io')),
];

/** Only where movers run in another namespace than their claims. It lets its owner read any snapshot of the storage. */
export const staticPairRole: readonly PolicyRule[] = [
  { apiGroups: ['snapshot.storage.k8s.io'], resources: ['volumesnapshotcontents'], verbs: ['create'] },
];

export const backupClusterRole: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['namespaces'], verbs: ['get'], resourceNames: ['kube-system'] },
  { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list'] },
  { apiGroups: [''], resources: ['persistentvolumes'], verbs: ['get', 'list', 'watch', 'patch'] },
  { apiGroups: ['storage.k8s.io'], resources: ['storageclasses', 'csidrivers'], verbs: ['get', 'list'] },
  { apiGroups: ['storage.k8s.io'], resources: ['volumeattachments', 'csinodes'], verbs: ['list'] },
  { apiGroups: ['snapshot.storage.k8s.io'], resources: ['volumesnapshotclasses'], verbs: ['get', 'list'] },
  {
    apiGroups: ['snapshot.storage.k8s.io'],
    resources: ['volumesnapshotcontents'],
    verbs: ['get', 'list', 'watch', 'patch', 'delete'],
  },
  { apiGroups: ['groupsnapshot.storage.k8s.io'], resources: ['volumegroupsnapshotclasses'], verbs: ['get', 'list'] },
  {
    apiGroups: ['groupsnapshot.storage.k8s.io'],
    resources: ['volumegroupsnapshotcontents'],
    verbs: ['get', 'list', 'watch', 'patch'],
  },
];
