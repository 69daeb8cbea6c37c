/** Where restic's default layout puts a file below the root of a repository: format v2, "Repository Layout". */
import { damagedFile } from '../base/damaged-file.ts';
import { HoldfastError } from '../base/errors.ts';
import type { FileType } from './store.ts';

export const fileTypes: readonly FileType[] = ['config', 'keys', 'snapshots', 'index', 'locks', 'data'];

const namePattern = /^[0-9a-f]{64}$/;

/** Whether a repository file can have that name; anything else in its folders is not the repository's. */
export function isFileName(name: string): boolean {
  return namePattern.test(name);
}

/**
 * 'config', 'keys/<name>', 'data/<first two digits>/<name>', with '/' as separator.
 * Another name is a bug of the caller (and could point outside of the repository).
 */
export function filePath(type: FileType, name: string): string {
  if (type === 'config') {
    if (name !== 'config') throw new TypeError(`the config cannot be called ${JSON.stringify(name)}`);
    return name;
  }
  if (!isFileName(name)) throw new TypeError(`${JSON.stringify(name)} is not a file name of a repository`);
  return type === 'data' ? `data/${name.slice(0, 2)}/${name}` : `${type}/${name}`;
}

/** The word for one file of the type, in messages. */
export function kindOf(type: FileType): string {
  const kinds: Record<FileType, string> = {
    config: 'file',
    keys: 'key',
    snapshots: 'snapshot',
    index: 'index',
    locks: 'lock',
    data: 'pack',
  };
  return kinds[type];
}

/**
 * True where the file that is there counts as written by this put: a file's name is its hash, so the same size will do.
 * Another size is FILE_DAMAGED, a config REPOSITORY_EXISTS.
 */
export function alreadyThere(url: string, type: FileType, name: string, sizeBytes: number, foundBytes: number): true {
  if (type === 'config') throw new HoldfastError('REPOSITORY_EXISTS', { url, found: 'its config' });
  if (foundBytes === sizeBytes) return true;
  const reason = `it has ${foundBytes} bytes where ${sizeBytes} were to be written`;
  throw damagedFile({ kind: kindOf(type), name }, reason);
}
