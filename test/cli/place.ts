/** A folder with an empty repository in it, and the program told of it by its environment. */
import { chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initRepository } from '../../src/repository/repository.ts';
import { openStore } from '../../src/store/open-store.ts';
import { noise } from '../fixtures/make-tree.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { type CliOptions, type CliResult, runCli } from './run-cli.ts';

export const password = 'correct horse battery staple';

export interface Place {
  readonly folder: string;
  readonly repository: string;
  readonly env: Record<string, string>;
  cli(...args: string[]): Promise<CliResult>;
}

export async function newPlace(options: CliOptions = {}): Promise<Place> {
  const folder = await tempDir();
  const repository = join(folder, 'repository');
  const env = { HOLDFAST_REPOSITORY: repository, HOLDFAST_PASSWORD: password };
  const cli = (...args: string[]): Promise<CliResult> => runCli(args, { env, ...options });
  await makeRepository(repository);
  if (options.uid !== undefined) giveTo(options.uid, folder);
  return { folder, repository, env, cli };
}

/** As `holdfast init` makes it, but with a key that is quickly opened: a command a test costs enough. */
async function makeRepository(path: string): Promise<void> {
  const store = await openStore(path);
  await initRepository(store, password, { kdf: { N: 1024, r: 8, p: 1 } });
  await store.close();
}

function giveTo(uid: number, folder: string): void {
  chownSync(folder, uid, uid);
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    chownSync(join(folder, name), uid, uid);
}

/** Files `file-0` to `file-<count - 1>` of 5000 bytes. */
export function makeFiles(folder: string, count: number): void {
  mkdirSync(folder, { recursive: true });
  for (let at = 0; at < count; at++) writeFileSync(join(folder, `file-${at}`), noise(`${at}`, 5000));
}

export function resticEnv(place: Place): Record<string, string> {
  return { RESTIC_REPOSITORY: place.repository, RESTIC_PASSWORD: password };
}

/** The last line of what a command printed, which is its result in JSON. */
export function lastLine(text: string): unknown {
  return JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');
}
