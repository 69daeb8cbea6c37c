/**
 * One group snapshot: the volumes of several claims cut at one instant (R2.1–R2.7). Made under a fixed name, waited for,
 * its members found, and all of it removed together: members never go before their group.
 */
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Cluster } from './client.ts';
import { type Labels, WORKS_FOR } from './labels.ts';
import { type KubeObject, listAt, type OwnerReference, textAt, valueAt } from './object.ts';
import { waitGone } from './removal.ts';
import { GROUP_SNAPSHOT_APIS, type GroupSnapshotApi, refOf, SNAPSHOT } from './resources.ts';
import { contentOf, dropContentWithSnapshot } from './volume-snapshot.ts';

export interface GroupSnapshotWish {
  readonly namespace: string;
  readonly name: string;
  readonly className: string;
  /** Selects exactly the claims of the group: all of these labels, nothing else is heeded (R2.3). */
  readonly matchLabels: Labels;
  readonly labels: Labels;
  readonly owners: readonly OwnerReference[];
  /** For people: the claims. */
  readonly worksFor: string;
}

export interface GroupSnapshotWatch {
  /** Name of the group, for messages. */
  readonly group: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  onProblem?(problem: string): void;
}

/** A volume of the group, as its PV knows it. */
export interface GroupVolume {
  readonly claimName: string;
  readonly volumeHandle: string;
}

export interface GroupMember {
  readonly snapshot: KubeObject;
  readonly content: KubeObject;
}

/** Nobody took the group up for so long: no controller or side-car that knows groups is at work. */
const SILENT_AFTER_MS = 30_000;
const BEING_CREATED = 'groupsnapshot.storage.kubernetes.io/volumegroupsnapshot-being-created';

/** The newest version of the API that the cluster serves (R2.1); undefined where its CRDs are not installed. */
export async function servedGroupApi(cluster: Cluster, signal?: AbortSignal): Promise<GroupSnapshotApi | undefined> {
  for (const api of GROUP_SNAPSHOT_APIS) if (await cluster.serves(api.class, signal)) return api;
  return undefined;
}

export function createGroupSnapshot(
  cluster: Cluster,
  api: GroupSnapshotApi,
  wish: GroupSnapshotWish,
  signal?: AbortSignal,
): Promise<KubeObject> {
  return cluster.create(
    {
      apiVersion: api.group.apiVersion,
      kind: api.group.kind,
      metadata: {
        name: wish.name,
        namespace: wish.namespace,
        labels: wish.labels,
        annotations: { [WORKS_FOR]: wish.worksFor },
        ownerReferences: wish.owners,
      },
      spec: { volumeGroupSnapshotClassName: wish.className, source: { selector: { matchLabels: wish.matchLabels } } },
    },
    signal,
  );
}

/**
 * Waits until the instant is taken. undefined where nobody takes the group up, so that it will never be cut: the CRDs and
 * a class are there, but no controller with the feature switched on, or a driver that cannot do it. Throws GROUP_NOT_CUT.
 */
export async function waitForGroupCut(
  cluster: Cluster,
  api: GroupSnapshotApi,
  group: KubeObject,
  watch: GroupSnapshotWatch,
): Promise<KubeObject | undefined> {
  return (await isTakenUp(cluster, api, group, watch)) ? waitForInstant(cluster, group, watch) : undefined;
}

/** By the controller, which makes a content, and then by the driver's side-car, which marks it or gives it a status. */
async function isTakenUp(cluster: Cluster, api: GroupSnapshotApi, group: KubeObject, watch: GroupSnapshotWatch) {
  const { signal } = watch;
  const patience = {
    timeoutMs: Math.min(SILENT_AFTER_MS, watch.timeoutMs),
    what: `${watch.group} to be taken up`,
    signal,
  };
  const content = { resource: api.content, name: contentNameOf(group) };
  try {
    await cluster.waitFor(content, (one) => (isAtWork(one) ? true : undefined), patience);
    return true;
  } catch (error) {
    if (!isHoldfastError(error, 'WAIT_TIMEOUT')) throw error;
    const last = await cluster.get(api.group, group.metadata.namespace, group.metadata.name, signal);
    // With an error somebody is at work, and may come through with it.
    return problemOf(last) !== undefined;
  }
}

function isAtWork(content: KubeObject | undefined): boolean {
  return content?.status !== undefined || content?.metadata.annotations?.[BEING_CREATED] !== undefined;
}

async function waitForInstant(cluster: Cluster, group: KubeObject, watch: GroupSnapshotWatch): Promise<KubeObject> {
  const problems = new Set<string>();
  const probe = (current: KubeObject | undefined): KubeObject | undefined => {
    if (current?.metadata.uid !== group.metadata.uid) {
      throw notCut(watch, 'somebody removed its group snapshot while it was waited for');
    }
    if (isCut(current)) return current;
    const problem = problemOf(current);
    if (problem !== undefined && !problems.has(problem)) {
      problems.add(problem);
      watch.onProblem?.(problem);
    }
    return undefined;
  };
  try {
    const what = `the cut of group ${watch.group}`;
    return await cluster.waitFor(refOf(group), probe, { timeoutMs: watch.timeoutMs, what, signal: watch.signal });
  } catch (error) {
    if (!isHoldfastError(error, 'WAIT_TIMEOUT')) throw error;
    const waited = `no group snapshot in ${Math.round(watch.timeoutMs / 1000)} s`;
    throw notCut(watch, [waited, ...(problems.size > 0 ? problems : ['the driver has not answered'])].join('; '));
  }
}

/**
 * The member of each volume, by the handle of the volume (R2.6): a name may have gone to another claim since. All of them
 * are told to go along with their group, whatever its class says (R1.23). Throws GROUP_NOT_CUT where one is missing.
 */
export async function groupMembers(
  cluster: Cluster,
  api: GroupSnapshotApi,
  group: KubeObject,
  volumes: readonly GroupVolume[],
  watch: GroupSnapshotWatch,
): Promise<ReadonlyMap<string, GroupMember>> {
  const snapshots = await waitForMembers(cluster, group, volumes, watch);
  await dropGroupContents(cluster, api, group);
  const found = await Promise.all(
    snapshots.map(async (snapshot) => ({ snapshot, content: await contentOf(cluster, snapshot) })),
  );
  const members = volumes.map(({ claimName, volumeHandle }) => {
    const member = found.find(({ content }) => textAt(content, 'spec', 'source', 'volumeHandle') === volumeHandle);
    if (member?.content !== undefined) return [claimName, { ...member, content: member.content }] as const;
    throw notCut(watch, `its group snapshot has nothing of the volume of ${claimName}`);
  });
  return new Map(members);
}

/** The group is cut before all of its members show up. */
async function waitForMembers(
  cluster: Cluster,
  group: KubeObject,
  volumes: readonly GroupVolume[],
  watch: GroupSnapshotWatch,
): Promise<readonly KubeObject[]> {
  const isBound = (one: KubeObject) => textAt(one, 'status', 'boundVolumeSnapshotContentName') !== undefined;
  let missing: string[] = [];
  const probe = (all: readonly KubeObject[]) => {
    const members = all.filter((one) => isMember(one, group) && isBound(one));
    const claims = members.map((one) => textAt(one, 'spec', 'source', 'persistentVolumeClaimName'));
    missing = volumes.flatMap(({ claimName }) => (claims.includes(claimName) ? [] : [claimName]));
    return missing.length === 0 ? members : undefined;
  };
  const selection = { namespace: group.metadata.namespace };
  const what = `the members of group ${watch.group}`;
  try {
    return await cluster.waitForList(SNAPSHOT, selection, probe, { ...watch, what });
  } catch (error) {
    if (!isHoldfastError(error, 'WAIT_TIMEOUT')) throw error;
    throw notCut(watch, `its group snapshot has nothing of ${missing.join(', ')}`);
  }
}

/** Removes the group with its members and all that they hold in the storage, and waits until it is gone. */
export async function removeGroupSnapshot(
  cluster: Cluster,
  api: GroupSnapshotApi,
  group: KubeObject,
  timeoutMs: number,
): Promise<void> {
  const { namespace, name, uid } = group.metadata;
  const current = await cluster.get(api.group, namespace, name);
  if (current?.metadata.uid !== uid) return;
  await waitForBinding(cluster, api, current, timeoutMs);
  const contents = await dropGroupContents(cluster, api, current);
  await cluster.remove(refOf(group), { uid });
  await waitGone(cluster, refOf(group), uid, timeoutMs);
  for (const content of contents) await waitGone(cluster, refOf(content), content.metadata.uid, timeoutMs);
}

/** A group that goes before its status names its content leaves that behind for ever (R2.13). */
async function waitForBinding(cluster: Cluster, api: GroupSnapshotApi, group: KubeObject, timeoutMs: number) {
  const content = await cluster.get(api.content, undefined, contentNameOf(group));
  if (content === undefined || group.metadata.deletionTimestamp !== undefined) return;
  const isBound = (current: KubeObject | undefined) =>
    current?.metadata.uid !== group.metadata.uid || textAt(current, 'status', 'boundVolumeGroupSnapshotContentName');
  const what = `the group snapshot ${group.metadata.name} to name its content`;
  await cluster.waitFor(refOf(group), (current) => (isBound(current) ? true : undefined), { timeoutMs, what });
}

/** All contents of the group and its members, told to go along with it. */
export async function dropGroupContents(
  cluster: Cluster,
  api: GroupSnapshotApi,
  group: KubeObject,
): Promise<readonly KubeObject[]> {
  const snapshots = await cluster.list(SNAPSHOT, { namespace: group.metadata.namespace });
  const members = snapshots.filter((one) => isMember(one, group));
  const contents = await Promise.all(members.map((member) => dropContentWithSnapshot(cluster, member)));
  const content = await cluster.get(api.content, undefined, contentNameOf(group));
  const isOwn = textAt(content, 'spec', 'volumeGroupSnapshotRef', 'uid') === group.metadata.uid;
  const own = content !== undefined && isOwn ? [content] : [];
  for (const one of own) {
    if (textAt(one, 'spec', 'deletionPolicy') === 'Delete') continue;
    await cluster.patch(refOf(one), { merge: { spec: { deletionPolicy: 'Delete' } } });
  }
  return [...contents.filter((one) => one !== undefined), ...own];
}

/** The controller's own rule; the status names it only later. */
function contentNameOf(group: KubeObject): string {
  const named = textAt(group, 'status', 'boundVolumeGroupSnapshotContentName');
  return named ?? `groupsnapcontent-${group.metadata.uid}`;
}

function isMember(snapshot: KubeObject, group: KubeObject): boolean {
  return listAt(snapshot, 'metadata', 'ownerReferences').some((owner) => textAt(owner, 'uid') === group.metadata.uid);
}

function isCut(group: KubeObject): boolean {
  return textAt(group, 'status', 'creationTime') !== undefined || valueAt(group, 'status', 'readyToUse') === true;
}

function problemOf(group: KubeObject | undefined): string | undefined {
  return textAt(group, 'status', 'error', 'message');
}

function notCut({ group }: GroupSnapshotWatch, cause: string): HoldfastError {
  return new HoldfastError('GROUP_NOT_CUT', { group, cause });
}
