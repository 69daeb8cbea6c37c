/**
 * CSI snapshots that outlive the run that made them, as the backup itself or beside it. Their contents are told to stay
 * when the snapshot object goes, as with its namespace (R1.27), and carry our marks, since nothing else finds them then.
 */
import type { Cluster } from './client.ts';
import { CLAIM_UID, type Labels, MANAGED_BY, ROLE, RUN, WORKS_FOR } from './labels.ts';
import { type KubeObject, textAt } from './object.ts';
import { refOf, SNAPSHOT, SNAPSHOT_CONTENT } from './resources.ts';
import { contentOf, removeContent, removeSnapshot } from './volume-snapshot.ts';

const KEPT = 'holdfast.dev/kept';
const REPOSITORY = 'holdfast.dev/repository';
const POLICY = 'holdfast.dev/policy';

/**
 * `pending`: its backup is about to be stored; `backup`: it is all the data that the backup has; `beside`: the data is in
 * the repository, too.
 */
export type KeptAs = 'pending' | 'backup' | 'beside';

export interface KeptIdentity {
  /** Of the repository that has the recipe; its config's id. */
  readonly repositoryId: string;
  readonly run: string;
  readonly claimUid: string;
  /** Whose rules say how many stay. */
  readonly policy?: string | undefined;
}

export interface KeptSnapshot {
  readonly content: KubeObject;
  readonly run: string;
  readonly claimUid: string;
  readonly as: KeptAs;
  readonly policy: string | undefined;
  /** namespace/name of the claim. */
  readonly claim: string;
  /** RFC 3339: when the content was made, shortly before the cut. */
  readonly madeAt: string;
}

/** Marks the content first: a run that ends in between leaves a snapshot that the next one removes with it. */
export async function keepSnapshot(
  cluster: Cluster,
  snapshot: KubeObject,
  content: KubeObject,
  as: KeptAs,
  identity: KeptIdentity,
): Promise<void> {
  const labels = keptLabels(as, identity);
  const annotations = { [WORKS_FOR]: snapshot.metadata.annotations?.[WORKS_FOR] ?? '' };
  await cluster.patch(refOf(content), {
    merge: { metadata: { labels, annotations }, spec: { deletionPolicy: 'Retain' } },
  });
  await cluster.patch(refOf(snapshot), { merge: { metadata: { labels, ownerReferences: null } } });
}

/** From pending to what it is for good. */
export async function settleKept(cluster: Cluster, { content }: Pick<KeptSnapshot, 'content'>, as: KeptAs) {
  const labels = { [KEPT]: as };
  const snapshot = await snapshotOf(cluster, content);
  if (snapshot !== undefined) await cluster.patch(refOf(snapshot), { merge: { metadata: { labels } } });
  await cluster.patch(refOf(content), { merge: { metadata: { labels } } });
}

/** All that this repository's backups have in this cluster; of one claim where one is named. */
export async function listKept(
  cluster: Cluster,
  o: {
    readonly repositoryId: string;
    readonly claimUid?: string | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<KeptSnapshot[]> {
  const ofClaim = o.claimUid === undefined ? '' : `,${CLAIM_UID}=${o.claimUid}`;
  const labelSelector = `${MANAGED_BY}=holdfast,${ROLE}=kept,${REPOSITORY}=${short(o.repositoryId)}${ofClaim}`;
  const contents = await cluster.list(SNAPSHOT_CONTENT, { labelSelector, signal: o.signal });
  return contents.map((content) => {
    const { labels = {}, annotations = {} } = content.metadata;
    const as = labels[KEPT];
    return {
      content,
      run: labels[RUN] ?? '',
      claimUid: labels[CLAIM_UID] ?? '',
      policy: labels[POLICY],
      as: as === 'backup' || as === 'beside' ? as : 'pending',
      claim: annotations[WORKS_FOR] ?? '',
      madeAt: textAt(content, 'metadata', 'creationTimestamp') ?? '',
    };
  });
}

/** Removes the copy in the storage and both objects, and waits until they are gone (R1.25 where only the content is left). */
export async function removeKept(cluster: Cluster, { content }: KeptSnapshot, timeoutMs: number): Promise<void> {
  const snapshot = await snapshotOf(cluster, content);
  if (snapshot !== undefined) return removeSnapshot(cluster, refOf(snapshot), snapshot.metadata.uid, timeoutMs);
  await removeContent(cluster, content, 'Delete', timeoutMs);
}

/** The content's own snapshot object, as long as there is one that names it back (R1.11). */
async function snapshotOf(cluster: Cluster, content: KubeObject): Promise<KubeObject | undefined> {
  const { namespace, name, uid } = readRef(content);
  const found = await cluster.get(SNAPSHOT, namespace, name);
  if (found === undefined || found.metadata.uid !== uid) return undefined;
  return (await contentOf(cluster, found))?.metadata.uid === content.metadata.uid ? found : undefined;
}

function readRef(content: KubeObject) {
  const at = (field: string) => textAt(content, 'spec', 'volumeSnapshotRef', field) ?? '';
  return { namespace: at('namespace'), name: at('name'), uid: at('uid') };
}

function keptLabels(as: KeptAs, { repositoryId, run, claimUid, policy }: KeptIdentity): Labels {
  return {
    [MANAGED_BY]: 'holdfast',
    ...{ [ROLE]: 'kept', [KEPT]: as },
    ...{ [REPOSITORY]: short(repositoryId), [RUN]: run, [CLAIM_UID]: claimUid },
    ...(policy === undefined ? {} : { [POLICY]: policy }),
  };
}

/** Label values have 63 characters at most. */
function short(repositoryId: string): string {
  return repositoryId.slice(0, 32);
}
