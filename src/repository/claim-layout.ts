/**
 * Which claim a backup is of, and where in its tree the content lies: as Holdfast writes it, and as K8up, VolSync and
 * Velero do (restic format, "Layouts to adopt"). Their marks are host, paths and tags, which plain restic may have, too.
 */
import { type Layout, layouts } from '../base/layouts.ts';
import type { Snapshot, StoredSnapshot } from './format/snapshot.ts';

export interface ClaimIdentity {
  readonly layout: Layout;
  /** VolSync writes down neither. */
  readonly namespace?: string;
  /** Velero writes down the name that the pod has for the volume instead. */
  readonly claim?: string;
  /** UID of the claim. */
  readonly uid?: string;
}

export const volsyncHost = 'volsync';
export const volsyncPath = '/data';
export const veleroHost = 'velero';
/** K8up mounts each claim below it. */
export const k8upRoot = '/data';

/** Snapshots below this path are records of Holdfast's own. */
export const ledgerPath = '/.holdfast/';

/**
 * Where the recipe of a backup is recorded whose shape has no place for it: a snapshot with this path and the tag
 * `of=<id of the backup>`, whose tree holds the file alone.
 */
export function recipeRecordPath({ namespace, claim }: { readonly namespace: string; readonly claim: string }): string {
  return `${ledgerPath}recipe/${namespace}/${claim}`;
}

/** A snapshot, with what others of the same claim say of it. */
export interface NamedSnapshot extends StoredSnapshot {
  readonly of?: ClaimIdentity;
}

/** Tags by which Holdfast says what a backup is of. */
const ownTag = /^(cluster-uid|namespace|claim|uid|policy|run|method|state|layout)=/;
const objectName = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;

export function isOwnTag(tag: string): boolean {
  return ownTag.test(tag);
}

/** The value of the tag `name=value`. */
export function tagOf({ tags = [] }: Pick<Snapshot, 'tags'>, name: string): string | undefined {
  return tags.find((tag) => tag.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** False when files could not be read while it was made. Other programs do not say. */
export function isComplete({ tags = [] }: Pick<Snapshot, 'tags'>): boolean {
  return !tags.includes('state=incomplete');
}

/** Whether it has the recipe alone: the data is a CSI snapshot in the storage system. */
export function isInStorage(snapshot: Pick<Snapshot, 'tags'>): boolean {
  return tagOf(snapshot, 'method') === 'Snapshot';
}

/** What the backup itself says, or what completeClaims found; undefined where it is not of a claim. */
export function claimOf(snapshot: Snapshot & Pick<NamedSnapshot, 'of'>): ClaimIdentity | undefined {
  if (snapshot.of) return snapshot.of;
  const layout = layoutOf(snapshot);
  if (layout === undefined) return undefined;
  const own = {
    namespace: tagOf(snapshot, 'namespace'),
    claim: tagOf(snapshot, 'claim'),
    uid: tagOf(snapshot, 'uid'),
  };
  return { ...present(foreignNames(snapshot, layout)), ...present(own), layout };
}

function foreignNames(snapshot: Snapshot, layout: Layout): Record<string, string | undefined> {
  if (layout === 'k8up') return { namespace: snapshot.hostname, claim: k8upClaim(snapshot) };
  if (layout !== 'velero') return {};
  return { namespace: tagOf(snapshot, 'ns'), claim: tagOf(snapshot, 'volume'), uid: tagOf(snapshot, 'pvc-uid') };
}

/** Holdfast says it with a tag where it goes on in the shape of another program; the others are known by their shape. */
function layoutOf(snapshot: Snapshot): Layout | undefined {
  const { hostname = '', paths } = snapshot;
  const [path, ...others] = paths;
  const said = tagOf(snapshot, 'layout');
  const known = layouts.find((layout) => layout === said);
  // A folder that Holdfast backed up may have the same host and path; it is no claim.
  if (known === undefined && snapshot.program_version?.startsWith('holdfast ')) return ownLayoutOf(snapshot);
  if (known !== undefined || path === undefined || others.length > 0) return known;
  const [namespace, claim] = [tagOf(snapshot, 'namespace'), tagOf(snapshot, 'claim')];
  if (namespace !== undefined && claim !== undefined && path === `/${namespace}/${claim}`) return 'holdfast';
  if (hostname === veleroHost && tagOf(snapshot, 'ns') !== undefined && tagOf(snapshot, 'volume') !== undefined) {
    return 'velero';
  }
  if (hostname === volsyncHost && path === volsyncPath) return 'volsync';
  if (objectName.test(hostname) && k8upClaim(snapshot) !== undefined) return 'k8up';
  return ownLayoutOf(snapshot);
}

function ownLayoutOf(snapshot: Snapshot): Layout | undefined {
  const isNamed = tagOf(snapshot, 'namespace') !== undefined || tagOf(snapshot, 'claim') !== undefined;
  return isNamed ? 'holdfast' : undefined;
}

function k8upClaim({ paths: [path = ''] }: Snapshot): string | undefined {
  const name = path.startsWith(`${k8upRoot}/`) ? path.slice(k8upRoot.length + 1) : '';
  return objectName.test(name) ? name : undefined;
}

/** The folder of the tree that holds the content of the volume: `/shop/data/volume`, `/data/orders`, or '' for the root. */
export function contentFolderOf(snapshot: Snapshot & Pick<NamedSnapshot, 'of'>): string {
  const identity = claimOf(snapshot);
  switch (identity?.layout) {
    case 'holdfast':
      return identity.namespace === undefined || identity.claim === undefined
        ? ''
        : `/${identity.namespace}/${identity.claim}/volume`;
    case 'k8up':
      return snapshot.paths[0] ?? '';
    default:
      return '';
  }
}

/**
 * Completes what backups say of themselves by what later ones of the same claim say, which know its name: found by its
 * UID where Velero made them; VolSync has a repository for each claim.
 */
export function completeClaims(snapshots: readonly StoredSnapshot[]): NamedSnapshot[] {
  const byUid = new Map<string, ClaimIdentity>();
  const bySync = new Map<string, ClaimIdentity>();
  for (const snapshot of snapshots) {
    const identity = claimOf(snapshot);
    if (identity === undefined || tagOf(snapshot, 'claim') === undefined) continue;
    if (identity.uid !== undefined) byUid.set(identity.uid, identity);
    if (identity.layout === 'volsync') bySync.set(`${identity.namespace}/${identity.claim}`, identity);
  }
  const [synced, ...others] = bySync.values();
  return snapshots.map((snapshot) => {
    const identity = tagOf(snapshot, 'claim') === undefined ? claimOf(snapshot) : undefined;
    if (identity?.layout === 'velero') return named(snapshot, identity, byUid.get(identity.uid ?? ''));
    if (identity?.layout === 'volsync' && others.length === 0) return named(snapshot, identity, synced);
    return snapshot;
  });
}

function named(snapshot: StoredSnapshot, identity: ClaimIdentity, known: ClaimIdentity | undefined): NamedSnapshot {
  return known ? { ...snapshot, of: { ...known, layout: identity.layout } } : snapshot;
}

type Present<Fields> = { [Field in keyof Fields]?: Exclude<Fields[Field], undefined> };

function present<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<Fields>;
}
