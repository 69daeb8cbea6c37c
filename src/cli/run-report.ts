/** Runs as people and scripts see them: from the repository alone, by the records that they left. */
import type { HoldfastError } from '../base/errors.ts';
import { formatDuration, formatSize } from '../base/units.ts';
import { completeClaims, tagOf } from '../repository/claim-layout.ts';
import type { StoredSnapshot } from '../repository/format/snapshot.ts';
import type { RecordedClaim, RunRecord } from '../repository/ledger/documents.ts';
import { findRun, type Recorded, readRuns } from '../repository/ledger/ledger.ts';
import type { Repository } from '../repository/repository.ts';
import { isLedger, listSnapshots, matchesFilter, type SnapshotFilter } from '../repository/snapshots.ts';
import { formatAmount, formatCount, formatTable, formatTime, type Output, shortId } from './output.ts';
import { shownText } from './shown-path.ts';

/** A name as newRunId gives it, or the beginning of one. */
export function isRunName(text: string): boolean {
  return /^\d{8}-(\d{1,6}(-[0-9a-f]{0,4})?)?$/.test(text);
}

/** Backups whose run left no record: it was killed, made by a process without the password, or is under way. */
interface UnrecordedRun {
  readonly run: string;
  readonly backups: readonly StoredSnapshot[];
}

/** Prints all runs, oldest first. Throws LEDGER_UNREADABLE at the end where a record cannot be read. */
export async function listRuns(repository: Repository, filter: SnapshotFilter, output: Output): Promise<void> {
  const snapshots = completeClaims(await listSnapshots(repository));
  const damaged: HoldfastError[] = [];
  const runs = await readRuns(repository, snapshots, (error) => damaged.push(error));
  const wanted = runs.filter(({ document }) => isWanted(document, filter));
  const recorded = new Set(runs.map(({ document }) => document.run));
  const backups = snapshots.filter((one) => !isLedger(one) && matchesFilter(one, filter));
  const others = unrecordedRuns(backups).filter(({ run }) => !recorded.has(run));
  if (output.json) output.value([...wanted.map(jsonOf), ...others.map(unrecordedJson)].sort(byRun));
  else printTable(wanted, others, output);
  for (const error of damaged) output.problem(`error: ${error.message}`, error.toJSON());
  if (damaged[0] !== undefined) throw damaged[0];
}

/** Prints one run, claim by claim. Throws RUN_NOT_FOUND, LEDGER_UNREADABLE. */
export async function showRun(repository: Repository, name: string, output: Output): Promise<void> {
  const found = await findRun(repository, await listSnapshots(repository), name);
  if (output.json) output.value(jsonOf(found));
  else printRun(found, output);
}

function isWanted({ claims, cluster }: RunRecord, { namespaces = [], claims: names = [], hosts = [] }: SnapshotFilter) {
  if (hosts.length > 0 && !hosts.includes(cluster.name)) return false;
  return claims.some(({ claim }) => {
    const [namespace = '', name = ''] = claim.split('/');
    return (namespaces.length === 0 || namespaces.includes(namespace)) && (names.length === 0 || names.includes(name));
  });
}

function unrecordedRuns(backups: readonly StoredSnapshot[]): UnrecordedRun[] {
  const byName = Map.groupBy(backups, (backup) => tagOf(backup, 'run') ?? '');
  byName.delete('');
  return [...byName].map(([run, made]) => ({ run, backups: made }));
}

function jsonOf({ id, document }: Recorded<RunRecord>) {
  const { kind: _, apiVersion: __, ...facts } = document;
  return { type: 'run', recordId: id, ...facts, counts: countsOf(document.claims) };
}

function unrecordedJson({ run, backups }: UnrecordedRun) {
  return { type: 'unrecorded-run', run, backups: backups.map(({ id }) => id) };
}

function byRun(one: { readonly run: string }, other: { readonly run: string }): number {
  return one.run < other.run ? -1 : 1;
}

function countsOf(claims: readonly RecordedClaim[]) {
  const counts = { done: 0, incomplete: 0, failed: 0, skipped: 0, uncovered: 0 };
  for (const { status } of claims) counts[status] += 1;
  return counts;
}

function summaryOf({ claims, ended }: RunRecord): string {
  const parts = Object.entries(countsOf(claims)).filter(([, count]) => count > 0);
  const shrunken = claims.filter((claim) => 'shrunken' in claim && claim.shrunken !== undefined).length;
  return [
    ...parts.map(([status, count]) => `${count} ${status === 'uncovered' ? 'not covered' : status}`),
    ...(shrunken === 0 ? [] : [`${shrunken} shrunken`]),
    ...(ended === 'interrupted' ? ['interrupted'] : []),
  ].join(', ');
}

function originOf({ policy, retryOf }: RunRecord): string {
  const by = policy === null ? 'by hand' : `policy ${policy.namespace}/${policy.name}`;
  return retryOf === undefined ? by : `${by}, retry of ${retryOf}`;
}

function tookMs({ startedAt, endedAt }: RunRecord): number {
  return Math.max(0, Date.parse(endedAt) - Date.parse(startedAt));
}

function printTable(runs: readonly Recorded<RunRecord>[], others: readonly UnrecordedRun[], output: Output): void {
  if (runs.length + others.length === 0) {
    output.note('There are no runs.');
    return;
  }
  const columns = [
    { title: 'RUN' },
    { title: 'STARTED' },
    { title: 'TOOK', align: 'right' },
    { title: 'OF' },
    { title: 'CLAIMS' },
  ] as const;
  const rows = [
    ...runs.map(({ document }) => [
      document.run,
      formatTime(document.startedAt),
      formatDuration(tookMs(document)),
      originOf(document),
      summaryOf(document),
    ]),
    ...others.map(({ run, backups }) => [
      run,
      formatTime(backups[0]?.time ?? ''),
      '-',
      'not recorded',
      `${backups.length} backed up; what else it was to do is not known`,
    ]),
  ].sort(([one = ''], [other = '']) => (one < other ? -1 : 1));
  for (const line of formatTable(columns, rows, output.bold)) output.line(line);
  output.note(formatAmount(rows.length, 'run'));
}

function printRun({ id, document }: Recorded<RunRecord>, output: Output): void {
  const { run, cluster, startedAt, claims } = document;
  const facts = [
    ['run', run],
    ['of', originOf(document)],
    ['cluster', `${cluster.name} (${cluster.uid})`],
    ['started', formatTime(startedAt)],
    ['took', formatDuration(tookMs(document))],
    ['claims', summaryOf(document)],
    ['record', shortId(id)],
  ] as const;
  for (const [name, value] of facts) output.line(`${name.padEnd(9)}${shownText(value)}`);
  for (const claim of claims) {
    output.line();
    output.line(
      `${output.bold(shownText(claim.claim))}  ${claim.status === 'uncovered' ? 'not covered' : claim.status}`,
    );
    for (const [name, value] of factsOf(claim)) output.line(`  ${name.padEnd(9)}${shownText(value)}`);
  }
}

function factsOf(claim: RecordedClaim): (readonly [string, string])[] {
  if ('code' in claim) return [['why', `${claim.message} (${claim.code})`]];
  const { backupId, method, methodReason, consistency, cutTime, group, files, bytes, bytesStored, shrunken } = claim;
  const { hooks = [] } = claim;
  const size = bytes === undefined ? undefined : `${formatCount(files ?? 0)} files, ${formatSize(bytes)}`;
  const sizes = shrunken && `${formatSize(shrunken.fromBytes)} → ${formatSize(shrunken.toBytes)}`;
  const facts = [
    ['backup', shortId(backupId)],
    ['method', `${method} (${methodReason}), ${consistency}`],
    ['cut', formatTime(cutTime)],
    ['group', group && `${group.name} by ${group.way}, cuts ${formatDuration(group.skewMs)} apart`],
    ...hooks.map(({ hook, target, ok }) => ['hook', `${hook}: ${target}: ${ok ? 'well' : 'failed'}`] as const),
    ['data', size],
    ['stored', bytesStored === undefined ? undefined : formatSize(bytesStored)],
    ['took', formatDuration(claim.durationMs)],
    ['errors', claim.errorCount === 0 ? undefined : `${claim.errorCount} files could not be read`],
    ...claim.errors.map(({ path, message }) => ['', `${path}: ${message}`] as const),
    ...claim.warnings.map((warning) => ['warning', warning] as const),
    ['shrunken', shrunken && `${sizes}: ${formatAmount(shrunken.held, 'earlier backup')} held`],
  ] as const;
  return facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}
