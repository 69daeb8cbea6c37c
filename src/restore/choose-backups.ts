/** Which backup of each claim a restore of several claims takes. Pure. */
import { HoldfastError } from '../base/errors.ts';
import { claimOf, isComplete, type NamedSnapshot } from '../repository/claim-layout.ts';
import { clusterOf, timeOf } from '../repository/snapshots.ts';

export interface ClaimName {
  readonly namespace: string;
  readonly name: string;
}

export interface BackupRules {
  /** In nanoseconds since 1970, exclusive: only older backups count. */
  readonly beforeNs?: bigint | undefined;
  /** Incomplete ones count like complete ones. */
  readonly allowIncomplete: boolean;
  /** Whether a restore of this backup was begun and not ended: it goes on, though there may be newer backups by now. */
  readonly isBegun: (claim: ClaimName, backupId: string) => boolean;
  /** The cluster that has the backups of one by now, where another one adopted it; default: it has them itself. */
  readonly clusterNow?: (clusterUid: string) => string;
}

export interface ClaimChoice {
  readonly claim: ClaimName;
  readonly backup: NamedSnapshot;
  readonly warnings: readonly string[];
}

export interface Choices {
  /** In the order of namespaces and claims. */
  readonly choices: readonly ClaimChoice[];
  readonly refusals: readonly HoldfastError[];
}

/**
 * The newest complete backup of each claim. Where a claim has only incomplete ones, the newest of these: its plan then
 * refuses it, with the way out. Backups that do not say which claim they are of are left out.
 * @param backups oldest first.
 */
export function chooseBackups(backups: readonly NamedSnapshot[], rules: BackupRules): Choices {
  const choices: ClaimChoice[] = [];
  const refusals: HoldfastError[] = [];
  for (const [key, { claim, backups: own }] of [...groupByClaim(backups, rules)].sort(byKey)) {
    const { clusterNow = (uid: string) => uid } = rules;
    const clusters = new Set(own.flatMap(clusterOf).map(clusterNow));
    if (clusters.size > 1) {
      refusals.push(
        new HoldfastError('BACKUP_OF_SEVERAL_CLUSTERS', { name: key, clusters: [...clusters].sort().join(', ') }),
      );
      continue;
    }
    choices.push(chooseOf(claim, own, rules));
  }
  return { choices, refusals };
}

interface ClaimBackups {
  readonly claim: ClaimName;
  readonly backups: NamedSnapshot[];
}

function groupByClaim(backups: readonly NamedSnapshot[], { beforeNs }: BackupRules): Map<string, ClaimBackups> {
  const groups = new Map<string, ClaimBackups>();
  for (const backup of backups) {
    const { namespace, claim: name } = claimOf(backup) ?? {};
    if (namespace === undefined || name === undefined) continue;
    if (beforeNs !== undefined && timeOf(backup) >= beforeNs) continue;
    const key = `${namespace}/${name}`;
    const group = groups.get(key) ?? { claim: { namespace, name }, backups: [] };
    groups.set(key, group);
    group.backups.push(backup);
  }
  return groups;
}

function chooseOf(claim: ClaimName, own: readonly NamedSnapshot[], rules: BackupRules): ClaimChoice {
  const newest = own.at(-1) as NamedSnapshot;
  const begun = own.findLast(({ id }) => rules.isBegun(claim, id));
  if (begun !== undefined) {
    const newer = begun === newest ? [] : ['goes on with a restore that was begun; there is a newer backup by now'];
    return { claim, backup: begun, warnings: newer };
  }
  const backup = (rules.allowIncomplete ? undefined : own.findLast(isComplete)) ?? newest;
  const passedOver = own.length - 1 - own.indexOf(backup);
  const warnings =
    passedOver === 0 ? [] : ['there is a newer backup, which is incomplete (--allow-incomplete takes it)'];
  return { claim, backup, warnings };
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
