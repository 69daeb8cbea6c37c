/** An entry of a backup as `ls` and `find` show it. */
import { isUtf8 } from 'node:buffer';
import { formatTime } from '../repository/format/time.ts';
import type { TreeNode } from '../repository/format/tree.ts';
import type { TreeEntry } from '../repository/walk-tree.ts';
import { permissionsFromGo } from '../volume/attributes.ts';
import { formatTime as localTime } from './output.ts';
import { pathJson, shownPath } from './shown-path.ts';

const typeLetters: Readonly<Record<string, string>> = {
  file: '-',
  dir: 'd',
  symlink: 'l',
  dev: 'b',
  chardev: 'c',
  fifo: 'p',
  socket: 's',
};

/** `-rwsr-xr-x`, as ls writes it. */
export function formatMode({ type, mode }: TreeNode): string {
  const bits = permissionsFromGo(mode);
  const group = (shift: number, special: boolean, letter: string): string => {
    const three = bits >> shift;
    const execute = special ? (three & 1 ? letter : letter.toUpperCase()) : three & 1 ? 'x' : '-';
    return `${three & 4 ? 'r' : '-'}${three & 2 ? 'w' : '-'}${execute}`;
  };
  const rights = group(6, (bits & 0o4000) !== 0, 's') + group(3, (bits & 0o2000) !== 0, 's');
  return `${typeLetters[type] ?? '?'}${rights}${group(0, (bits & 0o1000) !== 0, 't')}`;
}

/** A line of `ls -l`: mode, owner, size, time, path. */
export function longLine({ path, node }: TreeEntry): string {
  const { uid, gid, sizeBytes, mtimeNs, linkTarget } = node;
  const owner = `${String(uid).padStart(5)} ${String(gid).padStart(5)}`;
  const time = localTime(Number(mtimeNs / 1_000_000n));
  const target = linkTarget === undefined ? '' : ` -> ${shownPath(linkTarget)}`;
  return `${formatMode(node)} ${owner} ${String(sizeBytes).padStart(12)} ${time} ${shownPath(path)}${target}`;
}

/** Fields of an entry in JSON. Those without a meaning for its kind are left out. */
export function entryJson({ path, node }: TreeEntry): Record<string, unknown> {
  const { linkTarget } = node;
  return {
    type: 'entry',
    kind: node.type,
    ...pathJson(path),
    ...(node.type === 'file' ? { sizeBytes: node.sizeBytes } : {}),
    mode: permissionsFromGo(node.mode),
    permissions: formatMode(node),
    uid: node.uid,
    gid: node.gid,
    ...(node.user === '' ? {} : { user: node.user }),
    ...(node.group === '' ? {} : { group: node.group }),
    mtime: formatTime(node.mtimeNs),
    ctime: formatTime(node.ctimeNs),
    ...(node.links > 1 ? { links: node.links, inode: String(node.inode) } : {}),
    ...(linkTarget === undefined ? {} : targetJson(linkTarget)),
    ...(node.extendedAttributes.length > 0 ? { attributes: node.extendedAttributes.map(({ name }) => name) } : {}),
  };
}

function targetJson(target: Buffer): Record<string, string> {
  const text = { target: target.toString() };
  return isUtf8(target) ? text : { ...text, targetBase64: target.toString('base64') };
}
