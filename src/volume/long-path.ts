/** Paths longer than the 4096 bytes that Linux takes: reached by way of folders that are held open on the way. */
import { closeSync, constants, openSync } from 'node:fs';

/** With room for what a caller puts behind it. */
const longestBytes = 4096 - 300;
/** Linux: only to go on from there; needs no right to read. Node has no name for it. */
const pathOnly = 0o10000000;
const slash = 0x2f;

/** Calls `use` with a path that the kernel takes, which is good until it returns. Costs nothing for paths that are short. */
export function withShortPath<T>(path: Buffer, use: (path: Buffer) => T): T {
  if (path.length < longestBytes) return use(path);
  let rest = path;
  let folder = -1;
  try {
    while (rest.length >= longestBytes) {
      const end = rest.lastIndexOf(slash, longestBytes);
      const next = openSync(rest.subarray(0, end), pathOnly | constants.O_DIRECTORY);
      if (folder >= 0) closeSync(folder);
      folder = next;
      rest = Buffer.concat([Buffer.from(`/proc/self/fd/${folder}`), rest.subarray(end)]);
    }
    return use(rest);
  } finally {
    if (folder >= 0) closeSync(folder);
  }
}
