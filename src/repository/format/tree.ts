/** Trees: the entries of one directory (restic format v2, "Trees"). Written in restic's exact bytes, read in any. */
import { isUtf8 } from 'node:buffer';
import { type DocumentName, damaged, isId, isObject, parseText } from './document.ts';
import { goJsonBytes, goJsonString, goNameJson, goUnquote } from './go-json.ts';
import { formatTime, parseTime, zeroTimeNs } from './time.ts';

export type NodeType = 'file' | 'dir' | 'symlink' | 'dev' | 'chardev' | 'fifo' | 'socket';

export interface ExtendedAttribute {
  readonly name: string;
  readonly value: Buffer;
}

export interface TreeNode {
  readonly name: Buffer;
  /** In a tree that was read, a type of some other tool is passed through; check reports it. */
  readonly type: NodeType;
  /** Bits of Go's os.FileMode. */
  readonly mode: number;
  /** Since 1970; Go's zero time where it was not recorded. */
  readonly mtimeNs: bigint;
  readonly atimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly uid: number;
  readonly gid: number;
  /** '' where the id has no name. */
  readonly user: string;
  readonly group: string;
  readonly inode: bigint;
  /** 0n where it was not recorded. We record it only for hard links: it changes with every mount of a volume. */
  readonly deviceId: bigint;
  readonly sizeBytes: number;
  readonly links: number;
  readonly linkTarget?: Buffer;
  readonly extendedAttributes: readonly ExtendedAttribute[];
  /** Raw st_rdev of a device node. */
  readonly device: number;
  /** Hex ids of the data blobs of a file, in order; null for everything else. */
  readonly content: readonly string[] | null;
  /** Hex id of the tree of a directory. */
  readonly subtree?: string;
}

/** The whole tree. Nodes must be in ascending order of their name bytes, without duplicates. */
export function encodeTree(nodes: readonly TreeNode[]): Buffer {
  return Buffer.from(`{"nodes":[${nodes.map(encodeNode).join(',')}]}\n`);
}

/** A node as it stands in a tree. */
export function encodeNode(node: TreeNode): string {
  const { content } = node;
  const ids = content === null ? 'null' : content.length === 0 ? '[]' : `["${content.join('","')}"]`;
  return encodeNodeHead(node) + ids + encodeNodeTail(node);
}

/** A node from `{` up to and including `"content":`. Then come the ids, and encodeNodeTail. */
export function encodeNodeHead(node: Omit<TreeNode, 'content' | 'subtree'>): string {
  const { mtimeNs, atimeNs, ctimeNs, mode, user, group } = node;
  const mtime = formatTime(mtimeNs);
  const atime = atimeNs === mtimeNs ? mtime : formatTime(atimeNs);
  const ctime = ctimeNs === mtimeNs ? mtime : formatTime(ctimeNs);
  let json = `{"name":${goNameJson(node.name)},"type":"${node.type}"`;
  if (mode !== 0) json += `,"mode":${mode}`;
  json += `,"mtime":"${mtime}","atime":"${atime}","ctime":"${ctime}","uid":${node.uid},"gid":${node.gid}`;
  if (user !== '') json += `,"user":${goJsonString(user)}`;
  if (group !== '') json += `,"group":${goJsonString(group)}`;
  if (node.inode !== 0n) json += `,"inode":${node.inode}`;
  if (node.deviceId !== 0n) json += `,"device_id":${node.deviceId}`;
  if (node.sizeBytes !== 0) json += `,"size":${node.sizeBytes}`;
  if (node.links !== 0) json += `,"links":${node.links}`;
  if (node.linkTarget !== undefined) json += linkTargetJson(node.linkTarget);
  if (node.extendedAttributes.length > 0) json += `,"extended_attributes":[${attributesJson(node.extendedAttributes)}]`;
  if (node.device !== 0) json += `,"device":${node.device}`;
  return `${json},"content":`;
}

/** What follows the ids: the subtree of a directory, and `}`. */
export function encodeNodeTail(node: TreeNode): string {
  return node.subtree === undefined ? '}' : `,"subtree":"${node.subtree}"}`;
}

/** A target that is not UTF-8 is there twice: readable with replacement characters, and raw. */
function linkTargetJson(target: Buffer): string {
  if (target.length === 0) return '';
  const json = `,"linktarget":${goJsonBytes(target)}`;
  return isUtf8(target) ? json : `${json},"linktarget_raw":"${target.toString('base64')}"`;
}

function attributesJson(attributes: readonly ExtendedAttribute[]): string {
  return attributes
    .map(({ name, value }) => `{"name":${goJsonString(name)},"value":"${value.toString('base64')}"}`)
    .join(',');
}

/** Integers that Go holds in 64 bits; JSON.parse would round them. */
const wideFields = /"(inode|device_id|size|links|device)"(\s*:\s*)(\d{16,})/g;

/**
 * The nodes of a tree, in stored order. Fields may come in any order, unknown ones are left out, times may be missing.
 * Throws FILE_DAMAGED; `id` is for its message.
 */
export function decodeTree(bytes: Uint8Array, id = ''): TreeNode[] {
  const document = { kind: 'tree', name: id };
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  const nodes = nodesOf(parseText(text, document), document);
  if (!nodes.some(hasWideInteger)) return nodes.map((node) => nodeOf(node, document));
  const exact = text.replace(wideFields, '"$1"$2"$3"');
  return nodesOf(parseText(exact, document), document).map((node) => nodeOf(node, document));
}

type RawNode = Readonly<Record<string, unknown>>;

function nodesOf(tree: RawNode, document: DocumentName): RawNode[] {
  const nodes = tree.nodes ?? [];
  if (!Array.isArray(nodes) || !nodes.every(isObject)) throw damaged(document, 'its nodes are not a list of objects');
  return nodes;
}

/** Whether JSON.parse has rounded one of the integers. */
function hasWideInteger({ inode, device_id, size, links, device }: RawNode): boolean {
  return isWide(inode) || isWide(device_id) || isWide(size) || isWide(links) || isWide(device);
}

function isWide(value: unknown): boolean {
  return typeof value === 'number' && value > Number.MAX_SAFE_INTEGER;
}

function nodeOf(raw: RawNode, document: DocumentName): TreeNode {
  const name = goUnquote(textOf(raw.name));
  if (name === undefined) throw damaged(document, `the name ${JSON.stringify(raw.name)} is not quoted as it must be`);
  const mtimeNs = timeOf(raw.mtime, document);
  const { linktarget, linktarget_raw, subtree } = raw;
  const node = {
    name,
    type: textOf(raw.type) as NodeType,
    mode: numberOf(raw.mode, document),
    mtimeNs,
    atimeNs: raw.atime === raw.mtime ? mtimeNs : timeOf(raw.atime, document),
    ctimeNs: raw.ctime === raw.mtime ? mtimeNs : timeOf(raw.ctime, document),
    uid: numberOf(raw.uid, document),
    gid: numberOf(raw.gid, document),
    user: textOf(raw.user),
    group: textOf(raw.group),
    inode: bigintOf(raw.inode, document),
    deviceId: bigintOf(raw.device_id, document),
    sizeBytes: numberOf(raw.size, document),
    links: numberOf(raw.links, document),
    extendedAttributes: raw.extended_attributes ? attributesOf(raw.extended_attributes, document) : noAttributes,
    device: numberOf(raw.device, document),
    content: contentOf(raw.content, document),
  };
  if (typeof linktarget_raw === 'string') return { ...node, linkTarget: Buffer.from(linktarget_raw, 'base64') };
  if (typeof linktarget === 'string') return { ...node, linkTarget: Buffer.from(linktarget) };
  if (subtree === undefined || subtree === null) return node;
  if (!isId(subtree)) throw damaged(document, `the subtree of ${JSON.stringify(raw.name)} is no id`);
  return { ...node, subtree };
}

const noAttributes: readonly ExtendedAttribute[] = [];

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function timeOf(value: unknown, document: DocumentName): bigint {
  if (value === undefined || value === null) return zeroTimeNs;
  const ns = typeof value === 'string' ? parseTime(value) : undefined;
  if (ns === undefined) throw damaged(document, `${JSON.stringify(value)} is no time`);
  return ns;
}

function numberOf(value: unknown, document: DocumentName): number {
  if (value === undefined || value === null) return 0;
  const number = typeof value === 'string' ? Number(value) : value;
  if (!Number.isSafeInteger(number)) throw damaged(document, `${JSON.stringify(value)} is no whole number below 2^53`);
  return number as number;
}

function bigintOf(value: unknown, document: DocumentName): bigint {
  if (value === undefined || value === null) return 0n;
  if (typeof value === 'string' && /^\d{1,20}$/.test(value)) return BigInt(value);
  return BigInt(numberOf(value, document));
}

function contentOf(value: unknown, document: DocumentName): readonly string[] | null {
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value) || !value.every(isId))
    throw damaged(document, 'the content of a node is not a list of ids');
  return value;
}

function attributesOf(value: unknown, document: DocumentName): ExtendedAttribute[] {
  if (!Array.isArray(value)) throw damaged(document, 'extended attributes are not a list');
  return value.map((attribute: unknown) => {
    if (!isObject(attribute) || typeof attribute.name !== 'string') {
      throw damaged(document, 'an extended attribute has no name');
    }
    return { name: attribute.name, value: Buffer.from(textOf(attribute.value), 'base64') };
  });
}
