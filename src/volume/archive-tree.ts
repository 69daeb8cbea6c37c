/**
 * The folders of an archive while it is read. Tar names an entry by its path and tells of a hard link only when it comes
 * to the second name, so that trees can be stored only once all of it has been read: about half a kilobyte an entry, whatever
 * the files hold.
 */
import { encodeNode, encodeNodeHead } from '../repository/format/tree.ts';
import { goModeFromPosix, posixTypeBits } from './attributes.ts';
import type { FolderWalk } from './backup-walk.ts';
import type { EntryAttributes } from './read-attributes.ts';
import type { TarMember } from './tar-reader.ts';
import type { TreePiece } from './tree-pieces.ts';

/** What stands between the brackets of `content`: encoded ids of small files, pieces of large ones; null without any. */
export type LeafContent = string | TreePiece | null;

/** The name is the key that it is found by. */
type Attributes = Omit<EntryAttributes, 'name'>;

interface Folder {
  attributes: Attributes;
  /** By name, as latin1. */
  readonly entries: Map<string, Folder | Leaf>;
}

interface Leaf {
  attributes: Attributes;
  readonly content: LeafContent;
}

/** Archives have no inodes. These are our own, for files that have several names: all of one made-up file system. */
const linkDeviceId = 1n;

export class ArchiveTree {
  readonly #root: Folder;
  readonly #timeNs: bigint;
  #inodes = 0n;

  /** `timeNs` is that of folders of which the archive says nothing. */
  constructor(timeNs: bigint) {
    this.#timeNs = timeNs;
    this.#root = this.#madeUpFolder();
  }

  get rootAttributes(): Attributes {
    return this.#root.attributes;
  }

  addFolder(path: readonly string[], member: TarMember): void {
    this.#folderAt(path).attributes = attributesOf(member);
  }

  addLeaf(path: readonly string[], member: TarMember, content: LeafContent): void {
    const name = path.at(-1) ?? '';
    this.#folderAt(path.slice(0, -1)).entries.set(name, { attributes: attributesOf(member), content });
  }

  /** One more name of an entry that came before; false where none did. */
  addLink(path: readonly string[], target: readonly string[]): boolean {
    const first = this.#find(target);
    if (first === undefined || 'entries' in first || path.length === 0) return false;
    const { inode } = first.attributes;
    if (inode === 0n) {
      this.#inodes += 1n;
      first.attributes = { ...first.attributes, inode: this.#inodes, deviceId: linkDeviceId };
    }
    const name = path.at(-1) ?? '';
    const { attributes, content } = first;
    this.#folderAt(path.slice(0, -1)).entries.set(name, { attributes, content });
    return true;
  }

  leaveOut(name: string): void {
    this.#root.entries.delete(name);
  }

  /** Stores all trees; the id of the root's. */
  async store(walk: FolderWalk): Promise<string> {
    const links = new Map<bigint, number>();
    countLinks(this.#root, links);
    return storeFolder(walk, this.#root, links);
  }

  #find(path: readonly string[]): Folder | Leaf | undefined {
    let found: Folder | Leaf | undefined = this.#root;
    for (const name of path) {
      if (found === undefined || !('entries' in found)) return undefined;
      found = found.entries.get(name);
    }
    return found;
  }

  #folderAt(path: readonly string[]): Folder {
    let folder = this.#root;
    for (const name of path) {
      let next = folder.entries.get(name);
      if (next === undefined || !('entries' in next)) {
        next = this.#madeUpFolder();
        folder.entries.set(name, next);
      }
      folder = next;
    }
    return folder;
  }

  #madeUpFolder(): Folder {
    const root = { mode: 0o755, uid: 0, gid: 0, mtimeNs: this.#timeNs, ctimeNs: this.#timeNs, device: 0 } as const;
    const member = { ...root, type: 'dir', sizeBytes: 0, target: Buffer.alloc(0), extendedAttributes: [] } as const;
    return { attributes: attributesOf(member), entries: new Map() };
  }
}

/** As a walk of the folder would have it (read-attributes.ts): atime is mtime, folders and FIFOs have no links. */
function attributesOf(member: Omit<TarMember, 'path' | 'content'>): Attributes {
  const { mode, uid, gid, mtimeNs, ctimeNs, device, extendedAttributes, sizeBytes, target } = member;
  const type = member.type === 'link' ? 'file' : member.type;
  return {
    type,
    mode: goModeFromPosix(posixTypeBits(type) | mode),
    ...{ mtimeNs, atimeNs: mtimeNs, ctimeNs, uid, gid },
    ...{ user: '', group: '', inode: 0n, deviceId: 0n },
    sizeBytes: type === 'file' ? sizeBytes : 0,
    links: type === 'dir' || type === 'fifo' ? 0 : 1,
    extendedAttributes: extendedAttributes.map(({ name, value }) => ({ name, value: unpooled(value) })),
    device,
    ...(type === 'symlink' ? { linkTarget: unpooled(target) } : {}),
  };
}

/** Small buffers are parts of larger ones, which they would keep in memory with them. */
function unpooled(bytes: Buffer): Buffer {
  const own = Buffer.alloc(bytes.length);
  bytes.copy(own);
  return own;
}

/** How many names each inode has in the end: a later entry may have taken the place of one. */
function countLinks(folder: Folder, links: Map<bigint, number>): void {
  for (const entry of folder.entries.values()) {
    if ('entries' in entry) countLinks(entry, links);
    else if (entry.attributes.inode !== 0n) {
      links.set(entry.attributes.inode, (links.get(entry.attributes.inode) ?? 0) + 1);
    }
  }
}

async function storeFolder(walk: FolderWalk, folder: Folder, links: ReadonlyMap<bigint, number>): Promise<string> {
  const pieces: TreePiece[] = [];
  // One character of latin1 is one byte of the name.
  const sorted = [...folder.entries].sort(([one], [other]) => (one < other ? -1 : 1));
  for (const [latin1, entry] of sorted) {
    const name = Buffer.from(latin1, 'latin1');
    if ('entries' in entry) {
      const subtree = await storeFolder(walk, entry, links);
      pieces.push(Buffer.from(`${encodeNode({ ...entry.attributes, name, content: null, subtree })},`));
    } else pieces.push(...leafPieces(name, entry, links));
  }
  walk.folders.new++;
  return walk.storeTree(pieces);
}

function leafPieces(name: Buffer, { attributes, content }: Leaf, links: ReadonlyMap<bigint, number>): TreePiece[] {
  const names = links.get(attributes.inode) ?? attributes.links;
  const head = encodeNodeHead({ ...attributes, name, links: names });
  if (content === null) return [Buffer.from(`${head}null},`)];
  if (typeof content === 'string') return [Buffer.from(`${head}[${content}]},`)];
  return [Buffer.from(`${head}[`), content, Buffer.from(']},')];
}
