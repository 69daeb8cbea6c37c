/** Fresh folders for the tests of one file, removed after them. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** In memory where there is such a place: some disks take seconds for a thousand small files. */
const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const made: string[] = [];

afterAll(async () => {
  for (const path of made.splice(0)) await rm(path, { recursive: true, force: true });
});

/** A new empty folder in a place for temporary files. */
export async function tempDir(): Promise<string> {
  const path = await mkdtemp(join(base, 'holdfast-test-'));
  made.push(path);
  return path;
}
