/** One at a time, among processes of this machine. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The lock is a file with the holder's process id; that of a holder that is gone is taken over. */
export async function withLock<T>(file: string, action: () => Promise<T>): Promise<T> {
  while ((await holdLock(file)) !== undefined) await sleep(200);
  try {
    return await action();
  } finally {
    await rm(file, { force: true });
  }
}

/** Takes the lock, which is let go by removing the file; undefined, or the id of the process that has it. */
export async function holdLock(file: string): Promise<number | undefined> {
  await mkdir(dirname(file), { recursive: true });
  for (;;) {
    if (await take(file)) return undefined;
    const holder = Number(await readFile(file, 'utf8').catch(() => '0'));
    if (holder !== 0 && isAlive(holder)) return holder;
    // Removed just now, or without its process id yet: a moment decides.
    if (holder === 0) await sleep(200);
    else await rm(file, { force: true });
  }
}

async function take(file: string): Promise<boolean> {
  try {
    await writeFile(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
