/** Small file systems in memory, for tests of full disks. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Mounts one of that size in a new folder below `parent`. */
export async function mountTmpfs(
  parent: string,
  sizeBytes: number,
): Promise<{ path: string; unmount(): Promise<void> }> {
  const path = await mkdtemp(join(parent, 'tmpfs-'));
  await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', path]);
  return {
    path,
    async unmount() {
      await run('umount', [path]);
      await rmdir(path);
    },
  };
}

/** Why nothing can be mounted here; undefined when it can. */
export async function tryMount(parent: string): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'only root can mount a small disk';
  await mkdir(parent, { recursive: true });
  try {
    await (await mountTmpfs(parent, 65_536)).unmount();
    return undefined;
  } catch (error) {
    return `no small disk can be mounted here: ${error instanceof Error ? error.message.trim() : String(error)}`;
  }
}
