/** Finds the backups, recipes and facts of a restore of several claims. Only reads. */
import { mapLimited } from '../base/concurrency.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { isDenied } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { type KubeObject, listAt, textAt, valueAt } from '../cluster/object.ts';
import { CLAIM, STATEFUL_SET } from '../cluster/resources.ts';
import type { Recipe } from '../manifest/recipe.ts';
import { claimOf, type NamedSnapshot, tagOf } from '../repository/claim-layout.ts';
import { readAdoptions } from '../repository/ledger/ledger.ts';
import { loadIndex } from '../repository/load-index.ts';
import type { Repository } from '../repository/repository.ts';
import { backupsOf, listSnapshots, type SnapshotFilter } from '../repository/snapshots.ts';
import { type Choices, type ClaimChoice, type ClaimName, chooseBackups } from './choose-backups.ts';
import { backupFactsOf, gatherSurroundings, gatherTarget } from './gather-facts.ts';
import { restoreIdOf, restoreLabel } from './marks.ts';
import type { SetItem, SetRequest, SetWishes } from './plan-set.ts';
import { readRecipe } from './read-recipe.ts';
import { type LiveSet, mayBeOfSet, membersOfSet } from './stateful-set.ts';

export interface SetSelection {
  /** Which backups count: of these namespaces, claims, tags. */
  readonly filter: SnapshotFilter;
  /** Only the claims of this set of pods. */
  readonly set?: ClaimName | undefined;
  /** Only backups older than this, in nanoseconds since 1970. */
  readonly beforeNs?: bigint | undefined;
  readonly wishes: SetWishes;
  /** How many claims are restored at a time. */
  readonly parallel: number;
  readonly signal?: AbortSignal | undefined;
}

const readsAtOnce = 8;

/** The newest backups that a selection means. @throws HoldfastError BACKUP_NOT_FOUND where there are none at all. */
export async function gatherSet(
  cluster: Cluster,
  repository: Repository,
  selection: SetSelection,
): Promise<SetRequest> {
  const { set, wishes, parallel } = selection;
  const { choices, refusals } = await choose(cluster, repository, selection);
  if (choices.length + refusals.length === 0) throw new HoldfastError('BACKUP_NOT_FOUND', { name: nameOf(selection) });
  const read = await readRecipes(repository, choices);
  if (set === undefined) {
    return { set: null, missing: [], refusals, wishes, parallel, items: await gatherItems(cluster, read, selection) };
  }
  const candidates = read.map(({ claim, recipe }) => ({
    claim: claim?.name ?? '',
    recipe: recipe instanceof HoldfastError ? null : recipe,
  }));
  const { members, missing } = membersOfSet(set.name, candidates, await readLiveSet(cluster, selection, set));
  const chosen = members.flatMap((name) => read.filter(({ claim }) => claim?.name === name));
  if (chosen.length === 0) throw new HoldfastError('BACKUP_NOT_FOUND', { name: nameOf(selection) });
  return {
    set: `${set.namespace}/${set.name}`,
    missing: missing.map((name) => `${set.namespace}/${name}`),
    refusals,
    wishes,
    parallel,
    items: await gatherItems(cluster, chosen, selection),
  };
}

/** The backups that were named one by one. */
export async function gatherNamed(
  cluster: Cluster,
  repository: Repository,
  backups: readonly NamedSnapshot[],
  { wishes, parallel, signal }: Pick<SetSelection, 'wishes' | 'parallel' | 'signal'>,
): Promise<SetRequest> {
  const choices = backups.map((backup) => ({ claim: claimIn(backup), backup, warnings: [] }));
  const items = await gatherItems(cluster, await readRecipes(repository, choices), { wishes, signal });
  return { set: null, missing: [], refusals: [], wishes, parallel, items };
}

async function choose(cluster: Cluster, repository: Repository, selection: SetSelection): Promise<Choices> {
  const { filter, set, beforeNs, wishes, signal } = selection;
  const scope = set === undefined ? filter : { ...filter, namespaces: [set.namespace] };
  const snapshots = await listSnapshots(repository);
  const clusterNow = await readAdoptions(repository, snapshots);
  const all = backupsOf(snapshots, scope);
  const backups = set === undefined ? all : all.filter((backup) => mayBeOfSet(claimIn(backup)?.name ?? '', set.name));
  const namespaces = new Set(backups.flatMap((backup) => wishes.namespace ?? claimIn(backup)?.namespace ?? []));
  const begun = await readBegun(cluster, [...namespaces], signal);
  return chooseBackups(backups, {
    clusterNow,
    beforeNs,
    allowIncomplete: wishes.allowIncomplete === true,
    isBegun: ({ namespace, name }, id) => begun.has(restoreIdOf(id, wishes.namespace ?? namespace, name)),
  });
}

/** Ids of the restores that have objects in these namespaces and have not ended. */
async function readBegun(
  cluster: Cluster,
  namespaces: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<string>> {
  const lists = await mapLimited(namespaces, readsAtOnce, (namespace) =>
    cluster.list(CLAIM, { namespace, labelSelector: restoreLabel, signal }),
  );
  return new Set(lists.flat().map(({ metadata }) => metadata.labels?.[restoreLabel] ?? ''));
}

/** The claim is unknown where neither tags nor path of the backup tell it. */
type Chosen = Omit<ClaimChoice, 'claim'> & { readonly claim: ClaimName | undefined };

interface ReadChoice extends Chosen {
  readonly recipe: Recipe | HoldfastError;
}

async function readRecipes(repository: Repository, choices: readonly Chosen[]): Promise<ReadChoice[]> {
  if (choices.length === 0) return [];
  const index = await loadIndex(repository, 'read');
  return mapLimited(choices, readsAtOnce, async (choice) => {
    const { backup } = choice;
    try {
      const recipe = await readRecipe(repository, backup, index);
      return {
        ...choice,
        recipe: recipe ?? new HoldfastError('BACKUP_HAS_NO_RECIPE', { backup: backup.id.slice(0, 8) }),
      };
    } catch (error) {
      if (!isHoldfastError(error, 'RECIPE_UNREADABLE')) throw error;
      return { ...choice, recipe: error };
    }
  });
}

async function gatherItems(
  cluster: Cluster,
  choices: readonly ReadChoice[],
  { wishes, signal }: Pick<SetSelection, 'wishes' | 'signal'>,
): Promise<SetItem[]> {
  const recipes = choices.flatMap(({ recipe }) => (recipe instanceof HoldfastError ? [] : [recipe]));
  const surroundings = await gatherSurroundings(cluster, recipes, signal);
  return mapLimited(choices, readsAtOnce, async ({ claim, backup, recipe, warnings }) => {
    const item = {
      source: sourceOf(backup, recipe, claim),
      backup: backupFactsOf(backup),
      takenMs: Date.parse(backup.time),
      run: tagOf(backup, 'run') ?? null,
      warnings,
    };
    if (recipe instanceof HoldfastError) return { ...item, found: recipe };
    const request = { backupId: backup.id, recipe, wishes, signal };
    return { ...item, found: { recipe, facts: { ...surroundings, ...(await gatherTarget(cluster, request)) } } };
  });
}

/** Where the set may not be read, the backups alone say which ordinals there are. */
async function readLiveSet(
  cluster: Cluster,
  { wishes, signal }: SetSelection,
  set: ClaimName,
): Promise<LiveSet | null> {
  try {
    const found = await cluster.get(STATEFUL_SET, wishes.namespace ?? set.namespace, set.name, signal);
    return found === undefined ? null : liveSetOf(found);
  } catch (error) {
    if (isDenied(error)) return null;
    throw error;
  }
}

function liveSetOf(set: KubeObject): LiveSet {
  const start = valueAt(set, 'spec', 'ordinals', 'start');
  const replicas = valueAt(set, 'spec', 'replicas');
  return {
    templates: listAt(set, 'spec', 'volumeClaimTemplates').flatMap((one) => textAt(one, 'metadata', 'name') ?? []),
    start: typeof start === 'number' ? start : 0,
    replicas: typeof replicas === 'number' ? replicas : 1,
  };
}

function claimIn(backup: NamedSnapshot): ClaimName | undefined {
  const { namespace, claim: name } = claimOf(backup) ?? {};
  return namespace === undefined || name === undefined ? undefined : { namespace, name };
}

function sourceOf(backup: NamedSnapshot, recipe: Recipe | HoldfastError, claim: ClaimName | undefined): string {
  const { namespace, name } = recipe instanceof HoldfastError ? (claim ?? {}) : recipe.claim.metadata;
  return name === undefined ? `backup ${backup.id.slice(0, 8)}` : `${namespace}/${name}`;
}

/** What was looked for, in words. */
function nameOf({ filter, set }: SetSelection): string {
  const { namespaces = [], claims = [], tags = [] } = filter;
  const words = [
    set && `the set ${set.namespace}/${set.name}`,
    namespaces.length > 0 && `namespace ${namespaces.join(', ')}`,
    claims.length > 0 && `claim ${claims.join(', ')}`,
    tags.length > 0 && `tag ${tags.map((all) => all.join(',')).join(', ')}`,
  ];
  return words.filter((word) => word !== undefined && word !== false).join(', ');
}
