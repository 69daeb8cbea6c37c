/** Fresh folders for the tests of one file, removed after them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

const made: string[] = [];

afterAll(async () => {
  for (const path of made.splice(0)) await rm(path, { recursive: true, force: true });
});

/** A new empty folder under the system's folder for temporary files. */
export async function tempDir(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'holdfast-test-'));
  made.push(path);
  return path;
}
