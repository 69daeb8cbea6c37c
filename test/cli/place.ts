/** A folder with an empty repository in it, and the program told of it by its environment. */
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
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
  if (options.uid !== undefined) chownSync(folder, options.uid, options.uid);
  expect(await cli('init')).toMatchObject({ exitCode: 0 });
  return { folder, repository, env, cli };
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
