/** The accounts that the CronJob of a policy and its movers run as, and what the first may do where. Pure. */
import type { BackupPolicy } from '../policy/schema.ts';
import { backupClusterRole, backupRole, type PolicyRule, podRole, snapshotOnlyRole, staticPairRole } from './rights.ts';

/** Where the CronJob lives, and the name of all that belongs to it there. */
export interface CronJobHome {
  readonly namespace: string;
  readonly name: string;
}

const RBAC = 'rbac.authorization.k8s.io';
export const cronJobLabels = { 'app.kubernetes.io/name': 'holdfast' };

/** One account for all movers of the policy: it has no rights, and its token is given to nobody. */
export function moverAccount({ spec }: BackupPolicy, { name }: CronJobHome): string {
  return spec.mover?.serviceAccountName ?? `${name}-mover`;
}

export function accountObjects(policy: BackupPolicy, home: CronJobHome): object[] {
  const { namespace } = policy.metadata;
  const { name } = home;
  const isOwn = home.namespace !== namespace;
  // Cluster-wide names need the namespace in them.
  const wide = `holdfast-${namespace}-${policy.metadata.name}`;
  const subjects = [{ kind: 'ServiceAccount', name, namespace: home.namespace }];
  const metadata = (of: string, space?: string) => ({
    name: of,
    ...(space === undefined ? {} : { namespace: space }),
    labels: cronJobLabels,
  });
  const account = (of: string, space: string) => ({
    ...{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: metadata(of, space) },
    automountServiceAccountToken: false,
  });
  const granted = (rules: readonly PolicyRule[], space?: string) => {
    const kind = space === undefined ? 'ClusterRole' : 'Role';
    const own = { apiVersion: `${RBAC}/v1`, metadata: metadata(space === undefined ? wide : name, space) };
    const roleRef = { apiGroup: RBAC, kind, name: own.metadata.name };
    return [
      { ...own, kind, rules },
      { ...own, kind: `${kind}Binding`, roleRef, subjects },
    ];
  };
  const movers = moversIn(policy, home).map((space) => account(moverAccount(policy, home), space));
  return [
    account(name, home.namespace),
    ...(policy.spec.mover?.serviceAccountName === undefined ? movers : []),
    ...granted([...claimsRole(policy, isOwn), ...podRole(policy.spec)], namespace),
    ...(isOwn ? granted(backupRole, home.namespace) : []),
    ...granted([...backupClusterRole, ...(isOwn ? staticPairRole : [])]),
  ];
}

/** Less, where no pod of ours is ever made beside the claims. */
function claimsRole({ spec }: BackupPolicy, isOwn: boolean): readonly PolicyRule[] {
  const wishes = [spec.method ?? 'auto', ...(spec.methods ?? []).map(({ method }) => method)];
  const onlySnapshots = wishes.every((wish) => wish === 'auto' || wish === 'SnapshotMove');
  return isOwn && onlySnapshots && spec.mover?.claimSecretName === undefined ? snapshotOnlyRole : backupRole;
}

function moversIn({ metadata, spec }: BackupPolicy, home: CronJobHome): string[] {
  const { namespace } = metadata;
  if (home.namespace === namespace) return [namespace];
  return spec.mover?.claimSecretName === undefined ? [home.namespace] : [home.namespace, namespace];
}
