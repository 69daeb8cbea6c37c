/**
 * The rights that restores need, and whether the account has them; docs/rights.md explains each line,
 * test/cluster/tests/rights.test.ts restores with exactly these.
 */
import { mapLimited } from '../base/concurrency.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Action, Cluster } from '../cluster/client.ts';
import type { RestorePlan } from './plan.ts';
import type { InPlacePlan } from './plan-in-place.ts';

/** In the namespace of the restored claim. */
export const restoreRole = [
  {
    apiGroups: [''],
    resources: ['persistentvolumeclaims'],
    verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
  },
  { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch', 'create', 'delete'] },
  { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list', 'watch', 'create', 'delete'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
  { apiGroups: [''], resources: ['events'], verbs: ['list'] },
  { apiGroups: [''], resources: ['resourcequotas', 'limitranges'], verbs: ['list'] },
  { apiGroups: ['apps'], resources: ['statefulsets'], verbs: ['get'] },
  { apiGroups: ['batch'], resources: ['jobs'], verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'] },
] as const;

export const restoreClusterRole = [
  { apiGroups: [''], resources: ['namespaces'], verbs: ['get'] },
  { apiGroups: [''], resources: ['nodes'], verbs: ['list'] },
  { apiGroups: [''], resources: ['persistentvolumes'], verbs: ['get', 'list', 'watch', 'patch'] },
  { apiGroups: ['storage.k8s.io'], resources: ['storageclasses'], verbs: ['get', 'list', 'create', 'delete'] },
  {
    apiGroups: ['storage.k8s.io'],
    resources: ['csinodes', 'volumeattributesclasses', 'csistoragecapacities'],
    verbs: ['list'],
  },
  { apiGroups: ['storage.k8s.io'], resources: ['volumeattachments'], verbs: ['list', 'watch'] },
] as const;

/** Only where a volume is made from a kept CSI snapshot; in the namespace of the restored claim. */
export const snapshotRestoreRole = [
  {
    apiGroups: ['snapshot.storage.k8s.io'],
    resources: ['volumesnapshots'],
    verbs: ['get', 'list', 'watch', 'create', 'delete'],
  },
] as const;

export const snapshotRestoreClusterRole = [
  { apiGroups: ['snapshot.storage.k8s.io'], resources: ['volumesnapshotclasses'], verbs: ['get'] },
  {
    apiGroups: ['snapshot.storage.k8s.io'],
    resources: ['volumesnapshotcontents'],
    verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
  },
] as const;

/** In the namespace, for restores into claims that exist: their pods are scaled away, what is there is snapshotted. */
export const inPlaceRole = [
  { apiGroups: ['apps'], resources: ['statefulsets', 'deployments'], verbs: ['get', 'list', 'watch', 'patch'] },
  {
    apiGroups: ['snapshot.storage.k8s.io'],
    resources: ['volumesnapshots'],
    verbs: ['get', 'list', 'watch', 'create'],
  },
] as const;

export const inPlaceClusterRole = [
  { apiGroups: ['snapshot.storage.k8s.io'], resources: ['volumesnapshotclasses'], verbs: ['list'] },
  { apiGroups: ['snapshot.storage.k8s.io'], resources: ['volumesnapshotcontents'], verbs: ['get'] },
] as const;

/** A plan can do without these: what they tell is then not known, and it says so. */
const optional: readonly string[] = [
  'resourcequotas',
  'limitranges',
  'statefulsets',
  'csistoragecapacities',
  'volumeattributesclasses',
];
const asksAtOnce = 8;

/** One refusal that names all of these that the account may not do; undefined where there is none. */
export async function refusalOfRights(
  cluster: Cluster,
  needed: readonly Action[],
  signal?: AbortSignal,
): Promise<HoldfastError | undefined> {
  const unique = [...new Map(needed.map((action) => [JSON.stringify(action), action])).values()];
  const answers = await mapLimited(unique, asksAtOnce, (action) => cluster.allows(action, signal));
  const missing = unique.filter((_, at) => answers[at] === false);
  if (missing.length === 0) return undefined;
  return new HoldfastError('RIGHTS_MISSING', { rights: inWords(missing), count: missing.length });
}

/**
 * Pure. Only what this very plan does: a class is copied, a namespace made, a Secret sent by few of them.
 * @param sendsCredentials the restore puts credentials into a Secret.
 */
export function neededFor(plan: RestorePlan, sendsCredentials: boolean): Action[] {
  const { namespace } = plan.target;
  const isNeeded = ({ verb, resource }: Action): boolean => {
    if (optional.includes(resource)) return false;
    const writes = verb === 'create' || verb === 'delete';
    if (resource === 'storageclasses' && writes) return plan.classCopy !== null;
    if (resource === 'secrets' && verb === 'create') return sendsCredentials;
    return true;
  };
  const isFromSnapshot = plan.source.kind === 'snapshot';
  const roles = isFromSnapshot ? [...restoreRole, ...snapshotRestoreRole] : restoreRole;
  const clusterRoles = isFromSnapshot ? [...restoreClusterRole, ...snapshotRestoreClusterRole] : restoreClusterRole;
  const inNamespace = actionsOf(roles).map((action) => ({ ...action, namespace }));
  const makesNamespace = { verb: 'create', group: '', resource: 'namespaces' };
  return [
    ...[...inNamespace, ...actionsOf(clusterRoles)].filter(isNeeded),
    ...(plan.createsNamespace ? [makesNamespace] : []),
  ];
}

/** The same for a restore in place. */
export function neededInPlace(plan: InPlacePlan, sendsCredentials: boolean): Action[] {
  const { namespace } = plan.target;
  const isNeeded = ({ verb, group, resource }: Action): boolean => {
    if (group === 'apps') return plan.consumers.length > 0 || verb === 'list';
    if (group === 'snapshot.storage.k8s.io') return plan.snapshotClass !== null;
    const writes = verb === 'create' || verb === 'delete';
    if (resource === 'persistentvolumeclaims' && writes) return false;
    if (resource === 'secrets' && verb === 'create') return sendsCredentials;
    return !optional.includes(resource);
  };
  const ofMover = restoreRole.filter(({ apiGroups: [group] }) => group !== 'apps');
  const inNamespace = actionsOf([...ofMover, ...inPlaceRole]).map((action) => ({ ...action, namespace }));
  return [...inNamespace, ...actionsOf(inPlaceClusterRole)].filter(isNeeded);
}

type Rule = {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
};

function actionsOf(rules: readonly Rule[]): Action[] {
  return rules.flatMap(({ apiGroups: [group = ''], resources, verbs }) =>
    resources.flatMap((resource) => verbs.map((verb) => ({ verb, group, resource }))),
  );
}

/** `create, delete jobs in shop; patch persistentvolumes` */
function inWords(missing: readonly Action[]): string {
  const where = ({ resource, namespace }: Action) => `${resource}${namespace === undefined ? '' : ` in ${namespace}`}`;
  const byPlace = Map.groupBy(missing, where);
  return [...byPlace].map(([place, actions]) => `${actions.map(({ verb }) => verb).join(', ')} ${place}`).join('; ');
}
