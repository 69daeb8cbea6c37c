/** Finds and undoes mounts below a folder. */
import { readFile } from 'node:fs/promises';
import { tryCommand } from './commands.ts';

/** Newest first, which is the order to unmount them in. */
export async function mountsUnder(folder: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter(Boolean);
  const paths = lines.map((line) => unescapePath(line.split(' ')[4] ?? ''));
  return paths.filter((path) => path.startsWith(`${folder}/`)).reverse();
}

/** The kernel writes blanks and backslashes as three octal digits. */
function unescapePath(path: string): string {
  return path.replace(/\\(\d{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** In some passes, since a mount may hide or hold another; what is busy to the last is detached lazily. */
export async function unmountAll(folder: string, wanted: (path: string) => boolean): Promise<void> {
  for (let pass = 1; pass <= 4; pass++) {
    const paths = (await mountsUnder(folder)).filter(wanted);
    if (paths.length === 0) return;
    for (const path of paths) {
      // A driver killed in the middle of a snapshot leaves a frozen file system, which cannot be unmounted.
      if (path.endsWith('/globalmount')) await tryCommand('fsfreeze', ['--unfreeze', path]);
      await tryCommand('umount', pass === 4 ? ['--lazy', path] : [path]);
    }
  }
}
