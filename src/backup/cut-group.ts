/** The cut of a group whose claims are all prepared, and the record of how far apart its cuts are. */
import type { Cluster } from '../cluster/client.ts';
import { ownedBy, runLabels, workName } from '../cluster/labels.ts';
import { type KubeObject, textAt } from '../cluster/object.ts';
import {
  createGroupSnapshot,
  type GroupVolume,
  groupMembers,
  removeGroupSnapshot,
  waitForGroupCut,
} from '../cluster/volume-group-snapshot.ts';
import { contentOf, cutTimeMs } from '../cluster/volume-snapshot.ts';
import type { GroupRecord } from '../manifest/recipe.ts';
import { type CutGroup, type GroupSnapshotPlan, wayOf } from './groups.ts';
import { allEnded } from './limits.ts';
import type { Cut, PreparedClaim } from './method.ts';

/** A claim of a group before the cut. */
export interface Uncut {
  readonly claim: PreparedClaim;
  /** By a snapshot of its own. */
  cut(): Promise<Cut>;
}

/** Takes away what the claims of a group share; none of them may need its snapshot any more. */
export type Removal = () => Promise<void>;

/** Times by this process's clock between which all cuts lie. */
interface Span {
  readonly startedMs: number;
  readonly endedMs: number;
}

/**
 * The cuts in the order of the claims, each with the record of the group. What the claims share is put into `shared` as
 * soon as it is there, whatever comes of the cut. Throws GROUP_NOT_CUT, SNAPSHOT_FAILED and the signal's reason.
 */
export async function cutTogether(
  cluster: Cluster,
  group: CutGroup,
  members: readonly Uncut[],
  shared: Removal[],
): Promise<readonly Cut[]> {
  const { snapshot } = group;
  if (snapshot === undefined) return cutInWindow(cluster, group, members);
  const claims = members.map(({ claim }) => claim);
  const cuts = await cutAtOnce(cluster, group, snapshot, claims, shared);
  if (cuts !== undefined) return cuts;
  const reason = `nobody took up its group snapshot (class ${snapshot.class.class.metadata.name})`;
  for (const claim of claims) claim.warn(`group ${group.name} is cut one by one: ${reason}`);
  return cutInWindow(cluster, { ...group, snapshot: undefined, reason }, members);
}

/** Side by side; those that have to be last once all others are cut. */
async function cutInWindow(cluster: Cluster, group: CutGroup, members: readonly Uncut[]): Promise<readonly Cut[]> {
  const startedMs = Date.now();
  const done = new Map<Uncut, Cut>();
  const isLast = ({ claim }: Uncut) => group.last.includes(claim.work.plan.claim);
  for (const some of [members.filter((one) => !isLast(one)), members.filter(isLast)]) {
    await allEnded(some.map(async (member) => done.set(member, await member.cut())));
  }
  const span = { startedMs, endedMs: Date.now() };
  const cuts = members.flatMap((member) => done.get(member) ?? []);
  const contents = await Promise.all(cuts.map(({ snapshot }) => snapshot && contentOf(cluster, snapshot)));
  const claims = members.map(({ claim }) => claim);
  return recorded(group, claims, cuts, contents, span);
}

/** By one group snapshot; undefined where nobody takes that up. */
async function cutAtOnce(
  cluster: Cluster,
  group: CutGroup,
  { api, class: choice, matchLabels }: GroupSnapshotPlan,
  claims: readonly PreparedClaim[],
  shared: Removal[],
): Promise<readonly Cut[] | undefined> {
  const [first] = claims;
  if (first === undefined) throw new TypeError('a group without claims');
  const { options, timeouts } = first.work;
  const { signal, namespace, run } = options;
  const watch = { group: group.name, timeoutMs: timeouts.cutMs, signal, onProblem: first.warn };
  const className = choice.class.metadata.name;
  const wish = { namespace, className, matchLabels, labels: runLabels('backup', run), ...namesOf(group, claims) };
  const startedMs = Date.now();
  const made = await createGroupSnapshot(cluster, api, wish, signal);
  const remove = () => removeGroupSnapshot(cluster, api, made, timeouts.cleanUpMs);
  shared.push(remove);
  const cut = await waitForGroupCut(cluster, api, made, watch);
  const span = { startedMs, endedMs: Date.now() };
  if (cut === undefined) {
    await remove();
    return undefined;
  }
  for (const claim of claims) claim.say('snapshot', `cut with group ${group.name} by ${className}`);
  const volumes = claims.map(volumeOf);
  const found = await groupMembers(cluster, api, cut, volumes, watch);
  const parts = volumes.flatMap(({ claimName }) => found.get(claimName) ?? []);
  const cuts = parts.map(({ snapshot, content }) => ({ time: isoOf(cutTimeMs(content) ?? span.endedMs), snapshot }));
  const contents = parts.map(({ content }) => content);
  return recorded(group, claims, cuts, contents, span);
}

function namesOf(group: CutGroup, claims: readonly PreparedClaim[]) {
  const [first] = claims;
  const run = first?.work.options.run ?? '';
  const claimUid = claims.map(({ work }) => work.plan.source.claim.metadata.uid).join(' ');
  const namespace = first?.work.options.namespace;
  return {
    name: workName({ role: 'backup', run, claimUid }, group.name),
    // An owner has to be in the same namespace; the Jobs together, so that it outlives each of them.
    owners: claims.flatMap(({ job }) => (job.metadata.namespace === namespace ? ownedBy(job) : [])),
    worksFor: group.members.join(' '),
  };
}

function volumeOf({ work }: PreparedClaim): GroupVolume {
  const { claim, volume } = work.plan.source;
  return { claimName: claim.metadata.name, volumeHandle: textAt(volume, 'spec', 'csi', 'volumeHandle') ?? '' };
}

/** The cuts with what they are in common. */
function recorded(
  group: CutGroup,
  claims: readonly PreparedClaim[],
  cuts: readonly Cut[],
  contents: readonly (KubeObject | undefined)[],
  { startedMs, endedMs }: Span,
): readonly Cut[] {
  const timesMs = cuts.map((cut, at) => cutTimeMs(contents[at]) ?? Date.parse(cut.time));
  const record: GroupRecord = {
    name: group.name,
    way: wayOf(group),
    reason: group.reason,
    ...(group.snapshot === undefined ? {} : { snapshotClass: group.snapshot.class.class.metadata.name }),
    members: claims.length,
    cutTimes: Object.fromEntries(claims.map(({ work }, at) => [work.plan.claim, isoOf(timesMs[at] ?? 0)])),
    skewMs: Math.round(Math.max(...timesMs) - Math.min(...timesMs)),
    windowMs: endedMs - startedMs,
  };
  return cuts.map((cut) => ({ ...cut, group: record }));
}

function isoOf(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
