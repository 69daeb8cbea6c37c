/** Keys of a repository: several passwords, one master key. Taking a key away does not change what it has opened. */
import { HoldfastError } from '../base/errors.ts';
import { refuseAppendOnly } from './append-only.ts';
import { createKey, type KeyOptions, openKey } from './keys.ts';
import type { Repository } from './repository.ts';

/** Adds a key and makes sure that it opens the repository; its id. */
export async function addKey(repository: Repository, password: string, options: KeyOptions = {}): Promise<string> {
  const id = await createKey(repository.store, password, repository.key, options);
  const opened = await openKey(repository.store, password, id);
  if (opened.id !== id || !opened.master.encrypt.equals(repository.key.encrypt)) {
    throw new Error(`the new key ${id} does not open the repository`);
  }
  return id;
}

/**
 * Removes the key that `name`, its id or the beginning of it, means; its id. The caller holds an exclusive lock.
 * Throws REPOSITORY_APPEND_ONLY, KEY_NOT_FOUND, and KEY_NEEDED for the key in use, which may be the last one that
 * anybody can open.
 */
export async function removeKey(repository: Repository, name: string): Promise<string> {
  refuseAppendOnly(repository, 'no key may be removed');
  const ids = await keyIds(repository);
  const matches = ids.filter((id) => name !== '' && id.startsWith(name));
  const [id] = matches;
  if (id === undefined || matches.length > 1) throw new HoldfastError('KEY_NOT_FOUND', { name, count: matches.length });
  if (id === repository.keyId) throw new HoldfastError('KEY_NEEDED', { id: id.slice(0, 8) });
  await repository.store.remove('keys', id);
  return id;
}

/**
 * Adds a key and removes the one in use; the new id. The caller holds an exclusive lock. Throws REPOSITORY_APPEND_ONLY
 * before it adds one.
 */
export async function changePassword(
  repository: Repository,
  password: string,
  options: KeyOptions = {},
): Promise<string> {
  refuseAppendOnly(repository, 'the old key may not be removed');
  const id = await addKey(repository, password, options);
  await repository.store.remove('keys', repository.keyId);
  return id;
}

async function keyIds(repository: Repository): Promise<string[]> {
  const ids: string[] = [];
  for await (const { name } of repository.store.list('keys')) ids.push(name);
  return ids;
}
