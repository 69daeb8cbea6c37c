/**
 * Credentials as files instead of variables: a Secret that is mounted, as movers have theirs. What is in files shows
 * neither in a pod's description nor in the environment of a process.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError, messageOf } from '../base/errors.ts';
import type { Environment } from './config.ts';

/**
 * The environment with what the files of HOLDFAST_CREDENTIALS_DIR say, each named as a variable; those win. Throws
 * SOURCE_UNREADABLE for a folder that was named and cannot be read.
 */
export async function withCredentialFiles(env: Environment): Promise<Environment> {
  const folder = env.HOLDFAST_CREDENTIALS_DIR ?? '';
  if (folder === '') return env;
  try {
    // A mounted Secret keeps its files behind a link `..data`.
    const names = (await readdir(folder)).filter((name) => !name.startsWith('.'));
    const read = async (name: string) => [name, await readFile(join(folder, name), 'utf8')] as const;
    return { ...env, ...Object.fromEntries(await Promise.all(names.map(read))) };
  } catch (error) {
    const reason = `${messageOf(error)} (HOLDFAST_CREDENTIALS_DIR)`;
    throw new HoldfastError('SOURCE_UNREADABLE', { path: folder, reason }, { cause: error });
  }
}
