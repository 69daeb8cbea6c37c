/** Key files of a repository: from a password to the master key (restic format v2, "Key files"). */
import { createHash, randomBytes, scrypt } from 'node:crypto';
import { hostname } from 'node:os';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { currentUser } from '../base/user.ts';
import type { Store } from '../store/store.ts';
import { type MasterKey, seal, tryOpen } from './crypto.ts';
import { damaged } from './format/document.ts';
import {
  decodeKeyFile,
  decodeKeyMaterial,
  encodeKeyFile,
  encodeKeyMaterial,
  type Kdf,
  type KeyFile,
  saltBytes,
} from './format/key.ts';

/** restic's base parameters: 32 MiB and about 80 ms a try, which every command pays once. */
export const defaultKdf: Kdf = { N: 32_768, r: 8, p: 1 };

/** A key file that asks for more is not tried: its parameters are not authenticated. */
const maxKdfBytes = 2 ** 31;
const kdfSlackBytes = 2 ** 20;

export interface OpenedKey {
  /** The name of the key file that the password opens. */
  readonly id: string;
  readonly master: MasterKey;
}

export interface StoredKey {
  readonly id: string;
  readonly created: string;
  readonly username: string;
  readonly hostname: string;
}

export interface KeyOptions {
  readonly kdf?: Kdf;
  /** Who the key is for; default: this user on this machine. */
  readonly username?: string;
  readonly hostname?: string;
}

/** Writes a key file that opens `master` with `password`; its id. */
export async function createKey(
  store: Store,
  password: string,
  master: MasterKey,
  options: KeyOptions = {},
): Promise<string> {
  const kdf = options.kdf ?? defaultKdf;
  const salt = randomBytes(saltBytes);
  const userKey = await deriveKey(password, salt, kdf);
  const bytes = encodeKeyFile({
    created: new Date().toISOString(),
    username: options.username ?? currentUser().username,
    hostname: options.hostname ?? hostname(),
    ...kdf,
    salt,
    data: seal(userKey, encodeKeyMaterial(master)),
  });
  const id = createHash('sha256').update(bytes).digest('hex');
  await store.put('keys', id, bytes, id);
  return id;
}

/**
 * Tries the key files, `hint` first, until the password opens one. A key file that is damaged is passed over while
 * others are left. Throws PASSWORD_WRONG, or FILE_DAMAGED where damage may be why none opens.
 */
export async function openKey(store: Store, password: string, hint?: string): Promise<OpenedKey> {
  const ids: string[] = [];
  for await (const file of store.list('keys')) ids.push(file.name);
  ids.sort((a, b) => Number(b === hint) - Number(a === hint) || (a < b ? -1 : 1));
  let damage: HoldfastError | undefined;
  for (const id of ids) {
    try {
      const master = await tryKey(await loadKey(store, id), id, password);
      if (master) return { id, master };
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_DAMAGED')) throw error;
      damage ??= error;
    }
  }
  if (damage) throw damage;
  if (ids.length === 0) throw new HoldfastError('REPOSITORY_DAMAGED', { reason: 'it has a config but no keys' });
  throw new HoldfastError('PASSWORD_WRONG', { keys: ids.length, url: store.url });
}

/** All key files, oldest first. */
export async function listKeys(store: Store): Promise<StoredKey[]> {
  const keys: StoredKey[] = [];
  for await (const { name } of store.list('keys')) {
    const key = await loadKey(store, name);
    keys.push({ id: name, created: key.created, username: key.username, hostname: key.hostname });
  }
  return keys.sort((a, b) => (a.created < b.created ? -1 : 1));
}

async function loadKey(store: Store, id: string): Promise<KeyFile> {
  const bytes = await store.get('keys', id);
  if (createHash('sha256').update(bytes).digest('hex') !== id) {
    throw damaged({ kind: 'key', name: id }, 'its content has another hash');
  }
  return decodeKeyFile(bytes, id);
}

/** undefined where the password is not this key's. */
async function tryKey(key: KeyFile, id: string, password: string): Promise<MasterKey | undefined> {
  if (kdfBytes(key) > maxKdfBytes) {
    throw damaged({ kind: 'key', name: id }, `it asks for ${kdfBytes(key)} bytes`);
  }
  let userKey: MasterKey;
  try {
    userKey = await deriveKey(password, key.salt, key);
  } catch (error) {
    throw damaged({ kind: 'key', name: id }, `scrypt refuses N=${key.N} r=${key.r} p=${key.p}`, error);
  }
  const plain = tryOpen(userKey, key.data);
  return plain && decodeKeyMaterial(plain, id);
}

function kdfBytes({ N, r, p }: Kdf): number {
  return 128 * r * (N + p);
}

function deriveKey(password: string, salt: Uint8Array, { N, r, p }: Kdf): Promise<MasterKey> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, 64, { N, r, p, maxmem: kdfBytes({ N, r, p }) + kdfSlackBytes }, (error, derived) => {
      if (error) reject(error);
      else {
        const [encrypt, macK, macR] = [derived.subarray(0, 32), derived.subarray(32, 48), derived.subarray(48, 64)];
        resolve({ encrypt, macK, macR });
      }
    });
  });
}
