/** Names of users and groups from /etc/passwd and /etc/group of this machine, read once a thread. Empty where unknown. */
import { readFileSync } from 'node:fs';

let users: ReadonlyMap<number, string> | undefined;
let groups: ReadonlyMap<number, string> | undefined;

export function userName(uid: number): string {
  users ??= readNames('/etc/passwd');
  return users.get(uid) ?? '';
}

export function groupName(gid: number): string {
  groups ??= readNames('/etc/group');
  return groups.get(gid) ?? '';
}

/** Both files hold `name:password:number:…`; the first line of a number counts. An image without the file has no names. */
function readNames(path: string): Map<number, string> {
  const names = new Map<number, string>();
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return names;
  }
  for (const line of text.split('\n')) {
    const [name, , number] = line.split(':');
    if (!name || !number || !/^\d+$/.test(number) || /^[+-]/.test(name)) continue;
    if (!names.has(Number(number))) names.set(Number(number), name);
  }
  return names;
}
