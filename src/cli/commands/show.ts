import { isHoldfastError } from '../../base/errors.ts';
import { formatSize } from '../../base/units.ts';
import type { Recipe } from '../../manifest/recipe.ts';
import { claimOf, isInStorage } from '../../repository/claim-layout.ts';
import type { StoredSnapshot } from '../../repository/format/snapshot.ts';
import { findSnapshot } from '../../repository/snapshots.ts';
import { readRecipe } from '../../restore/read-recipe.ts';
import { ageOf, backupArgumentHelp } from '../choose-backup.ts';
import { defineCommand } from '../command.ts';
import { type BackupEntry, describeBackup, type StorageState, subjectOf } from '../describe-backup.ts';
import { readHeld } from '../held-backups.ts';
import { keptIfReachable } from '../kept-backups.ts';
import { withRepository } from '../open-repository.ts';
import { formatCount, formatTime, type Output } from '../output.ts';
import { isRunName, showRun } from '../run-report.ts';
import { shownText } from '../shown-path.ts';
import { filterFrom, filterOptions } from '../snapshot-filter.ts';

export const showCommand = defineCommand({
  description:
    'Everything that is known of a backup, and of the claim that a restore makes of it; or of a run, claim by claim.',
  arguments: [{ name: '<backup>', help: `${backupArgumentHelp}; or the name of a run, as 20261122-020000-3f9a` }],
  options: filterOptions,
  examples: [
    ['holdfast show latest', 'the newest backup'],
    ['holdfast show 20261122-020000-3f9a', 'a run: what became of each of its claims'],
    ['holdfast show shop/data~1', 'the one before the newest of a claim'],
    ['holdfast show 1f2e3d4c --json | jq .recipe.topology', 'where its volume was'],
  ],
  exitCodes: [10, 12],
  run: (given, [name = ''], context) =>
    withRepository(context, async (repository) => {
      if (isRunName(name)) {
        await showRun(repository, name, context.output);
        return;
      }
      const snapshot = await findSnapshot(repository, name, filterFrom(given));
      const { held } = await readHeld(repository);
      const { output } = context;
      const show = async (recipe: Recipe | null): Promise<void> => {
        const isKept = isInStorage(snapshot) || recipe?.keptSnapshot !== undefined;
        const stored = isKept ? (await keptIfReachable(context, repository))?.stateOf(snapshot) : undefined;
        const entry = describeBackup(snapshot, held.get(snapshot.id), stored);
        if (output.json) output.value({ type: 'backup', ...entry, ...furtherFacts(snapshot), recipe });
        else printFacts([...backupFacts(snapshot, entry), ...(recipe ? recipeFacts(recipe, stored) : [])], output);
      };
      try {
        await show(claimOf(snapshot)?.claim === undefined ? null : await readRecipe(repository, snapshot));
      } catch (error) {
        // Everything else is known all the same.
        if (isHoldfastError(error, 'RECIPE_UNREADABLE')) await show(null);
        throw error;
      }
    }),
});

/** What `list --json` does not have. Fields without a value are left out. */
function furtherFacts({
  original,
  excludes,
  uid,
  gid,
  summary,
  delete: mark,
}: StoredSnapshot): Record<string, unknown> {
  const facts = { original, excludes, uid, gid, summary, deleteMark: mark };
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}

type Fact = readonly [name: string, value: string | undefined];

function backupFacts(snapshot: StoredSnapshot, entry: BackupEntry): Fact[] {
  const { summary } = snapshot;
  return [
    ['backup', entry.id],
    ['of', subjectOf(entry)],
    ['made', `${formatTime(entry.time)} (${ageOf(snapshot)})`],
    ['state', entry.state],
    ['host', entry.host],
    ['user', entry.username],
    ['paths', entry.paths.join(', ')],
    ['tags', entry.tags.join(', ')],
    ['excludes', snapshot.excludes?.join(', ')],
    ['parent', entry.parent],
    ['replaces', snapshot.original],
    ['program', entry.program],
    ['tree', entry.tree],
    ['files', summary && changesLine(summary.total_files_processed, summary, 'files')],
    ['size', size(entry.sizeBytes)],
    ['new data', size(entry.addedBytes)],
    ['stored', size(entry.storedBytes)],
    ['data', entry.dataInStorage && `CSI snapshot in the storage system, ${entry.dataInStorage}`],
    ['held', entry.held?.join('; ')],
    ['kept', snapshot.delete === undefined || snapshot.delete === 'NotSet' ? undefined : keptLine(snapshot.delete)],
  ];
}

function changesLine(total: number, summary: NonNullable<StoredSnapshot['summary']>, kind: 'files'): string {
  const { files_new: fresh, files_changed: changed, files_unmodified: same } = summary;
  return `${formatCount(total)} ${kind}: ${formatCount(fresh)} new, ${formatCount(changed)} changed, ${formatCount(same)} the same`;
}

function keptLine(mark: Exclude<StoredSnapshot['delete'], undefined>): string {
  return typeof mark === 'object' ? `until ${mark.After}` : 'for good';
}

function recipeFacts(recipe: Recipe, stored: StorageState = 'unknown'): Fact[] {
  const { claim, storageClass, topology, sizes, reclaimPolicy, accessModes, volumeMode, consumers, keptSnapshot } =
    recipe;
  const places = [...topology.zones, ...topology.hosts];
  return [
    ['claim', `${claim.metadata.namespace}/${claim.metadata.name}`],
    ['class', storageClass?.metadata.name ?? claim.spec.storageClassName ?? undefined],
    ['place', places.length === 0 ? 'anywhere' : `${places.join(', ')} (${topology.source})`],
    ['requested', size(sizes.requestedBytes)],
    ['provisioned', size(sizes.provisionedBytes ?? undefined)],
    ['in use', size(sizes.usedBytes ?? undefined)],
    ['access', `${accessModes.join(', ')}, ${volumeMode}`],
    ['reclaim', reclaimPolicy ?? undefined],
    ['used by', consumers.map(consumerName).join(', ')],
    ['method', recipe.method],
    ['snapshot', keptSnapshot && `${keptSnapshot.handle} of ${keptSnapshot.driver}, ${stored}`],
    ['not read', recipe.unread.join(', ')],
    ['left out', recipe.redacted.join(', ')],
  ];
}

function consumerName({ pod, owner }: Recipe['consumers'][number]): string {
  return owner === null ? `pod ${pod}` : `${owner.kind} ${owner.name} (pod ${pod})`;
}

function size(bytes: number | undefined): string | undefined {
  return bytes === undefined ? undefined : `${formatSize(bytes)} (${formatCount(bytes)} bytes)`;
}

function printFacts(facts: readonly Fact[], output: Output): void {
  for (const [name, value] of facts) {
    if (value !== undefined && value !== '') output.line(`${name.padEnd(11)} ${shownText(value)}`);
  }
}
