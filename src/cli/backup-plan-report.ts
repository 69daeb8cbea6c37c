/** A plan of backups as text for people, or as one line of JSON. */
import { type CutGroup, wayOf } from '../backup/groups.ts';
import type { BackupPlan, LeftClaim, PlannedClaim, ReadyClaim } from '../backup/plan.ts';
import { consistencyOf } from '../backup/run.ts';
import { formatSize } from '../base/units.ts';
import { hookJson, hookWords } from './hook-words.ts';
import type { Output } from './output.ts';

export function printBackupPlan({ claims, groups }: BackupPlan, output: Output): void {
  if (output.json) {
    output.value({ type: 'plan', ...countsOf(claims), claims: claims.map(jsonOf), groups: groups.map(jsonOfGroup) });
    return;
  }
  const ready = claims.filter((claim) => claim.status === 'ready');
  const left = claims.filter((claim) => claim.status !== 'ready');
  for (const claim of ready) printReady(claim, groups, output);
  for (const claim of left) printLeft(claim, output);
  for (const group of groups) printGroup(group, output);
  if (claims.length > 0) output.line();
  output.line(summaryOf(claims, ready));
}

function printReady(claim: ReadyClaim, groups: readonly CutGroup[], output: Output): void {
  const { method, reason, place, notes } = claim;
  output.line(`${output.bold(claim.claim)}  ${method}`);
  const rows: [string, string][] = [
    ['method', reason],
    ...cutRows(claim, groups),
    [place.consumer ? 'through' : 'mover', `${place.words}${elsewhere(claim)} (${place.reason})`],
    ...(claim.copy?.accessMode === 'ReadOnlyMany'
      ? [['copy', `ReadOnlyMany (${claim.copy.reason})`] as [string, string]]
      : []),
    ['data', dataWords(claim)],
    ...(consistencyOf(method) === 'live'
      ? [['state', 'live: files may change while they are read'] as [string, string]]
      : []),
    ...claim.hooks.map((hook): [string, string] => ['hook', hookWords(hook)]),
    ...notes.map((note): [string, string] => ['note', note]),
  ];
  for (const [name, value] of rows) output.line(`  ${name.padEnd(8)}${value}`);
}

/** By which class the claim is cut, or with which group: a group snapshot has a class of its own. */
function cutRows({ claim, class: choice }: ReadyClaim, groups: readonly CutGroup[]): [string, string][] {
  const group = groups.find(({ members }) => members.includes(claim));
  const isShared = group?.snapshot !== undefined;
  return [
    ...(group === undefined ? [] : [['group', group.name] as [string, string]]),
    ...(choice === undefined || isShared
      ? []
      : [['class', `${choice.class.metadata.name} (${choice.reason})`] as [string, string]]),
  ];
}

/** Where the mover is in another namespace than its claim. */
function elsewhere({ moverNamespace, source }: ReadyClaim): string {
  return moverNamespace === source.claim.metadata.namespace ? '' : `, in namespace ${moverNamespace}`;
}

function printLeft({ claim, status, error }: LeftClaim, output: Output): void {
  const words = { skipped: 'skipped', blocked: 'blocked', uncovered: 'not covered' }[status];
  output.line(`${output.bold(claim)}  ${words}`);
  output.line(`  ${'why'.padEnd(8)}${reasonOf(error)}`);
  if (status === 'blocked') output.line(`  ${'hint'.padEnd(8)}${error.hint}`);
}

function printGroup(group: CutGroup, output: Output): void {
  const { name, members, last, snapshot, reason } = group;
  const how = snapshot === undefined ? 'one right after the other' : 'at one instant';
  output.line(`${output.bold(`group ${name}`)}  ${members.length} claims cut ${how}`);
  const rows: [string, string][] = [
    [snapshot === undefined ? 'why' : 'class', reason],
    ['claims', members.join(', ')],
    ...(snapshot === undefined && last.length > 0 ? [['last', last.join(', ')] as [string, string]] : []),
  ];
  for (const [title, value] of rows) output.line(`  ${title.padEnd(8)}${value}`);
}

function jsonOfGroup(group: CutGroup): object {
  const { name, members, last, snapshot, reason } = group;
  const snapshotClass = snapshot?.class.class.metadata.name;
  return { name, way: wayOf(group), reason, snapshotClass, claims: members, ...(last.length > 0 ? { last } : {}) };
}

/** The reason alone, where the error has one: the claim is named above it. */
function reasonOf(error: LeftClaim['error']): string {
  const { reason } = error.context;
  return typeof reason === 'string' ? reason : error.message;
}

function dataWords({ estimate, method, keeps }: ReadyClaim): string {
  if (estimate.basis === 'kept')
    return 'stays in the storage system as a CSI snapshot; the repository gets the recipe alone';
  const amount = formatSize(estimate.bytes);
  const words = estimate.basis === 'capacity' ? `at most ${amount}` : `about ${amount}, as last time`;
  return keeps && method === 'SnapshotMove' ? `${words}; its CSI snapshot stays beside it` : words;
}

function summaryOf(claims: readonly PlannedClaim[], ready: readonly ReadyClaim[]): string {
  const counts = countsOf(claims);
  const bytes = ready.reduce((sum, { estimate }) => sum + estimate.bytes, 0);
  const exact = ready.every(({ estimate }) => estimate.basis !== 'capacity');
  const parts = [
    `${counts.ready} to back up${ready.length === 0 ? '' : ` (${exact ? 'about' : 'at most'} ${formatSize(bytes)})`}`,
    ...(counts.blocked === 0 ? [] : [`${counts.blocked} blocked`]),
    ...(counts.skipped === 0 ? [] : [`${counts.skipped} skipped`]),
    ...(counts.uncovered === 0 ? [] : [`${counts.uncovered} not covered by any rule`]),
  ];
  return parts.join(', ');
}

function countsOf(claims: readonly PlannedClaim[]) {
  const counts = { ready: 0, blocked: 0, skipped: 0, uncovered: 0 };
  for (const { status } of claims) counts[status] += 1;
  return counts;
}

function jsonOf(claim: PlannedClaim): object {
  if (claim.status !== 'ready') {
    return { claim: claim.claim, status: claim.status, error: claim.error.toJSON() };
  }
  const { source, method, reason, class: choice, storageClass, place, estimate, notes } = claim;
  return {
    claim: claim.claim,
    status: claim.status,
    claimUid: source.claim.metadata.uid,
    volume: source.volume.metadata.name,
    volumeMode: source.volumeMode,
    accessModes: source.accessModes,
    ...{ method, methodReason: reason, consistency: consistencyOf(method) },
    ...(choice === undefined ? {} : { snapshotClass: choice.class.metadata.name, snapshotClassReason: choice.reason }),
    ...(storageClass === undefined ? {} : { storageClass }),
    ...{ mover: place.words, moverReason: place.reason, nodeSelector: place.selector },
    moverNamespace: claim.moverNamespace,
    ...(claim.copy === undefined ? {} : { copyAccessMode: claim.copy.accessMode, copyReason: claim.copy.reason }),
    ...{ estimatedBytes: estimate.bytes, estimateBasis: estimate.basis, hooks: claim.hooks.map(hookJson), notes },
  };
}
