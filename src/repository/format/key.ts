/** Key files: the master key, sealed with a key made from the password (restic format v2, "Key files"). */
import { damaged, Fields, parseObject } from './document.ts';
import { goJson } from './go-json.ts';

/** Cost parameters of scrypt. */
export interface Kdf {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

export interface KeyFile extends Kdf {
  /** RFC 3339. */
  readonly created: string;
  readonly username: string;
  readonly hostname: string;
  /** 64 bytes. */
  readonly salt: Buffer;
  /** The sealed JSON of the master key. */
  readonly data: Buffer;
}

/** The three secrets of a key, as they lie in the JSON that `data` seals. */
export interface KeyMaterial {
  /** 32 bytes. */
  readonly encrypt: Buffer;
  /** 16 bytes. */
  readonly macK: Buffer;
  /** 16 bytes. */
  readonly macR: Buffer;
}

export const saltBytes = 64;

export function encodeKeyFile(key: KeyFile): Buffer {
  const { created, username, hostname, N, r, p, salt, data } = key;
  const encoded = { salt: salt.toString('base64'), data: data.toString('base64') };
  return Buffer.from(goJson({ created, username, hostname, kdf: 'scrypt', N, r, p, ...encoded }));
}

/** Throws FILE_DAMAGED. */
export function decodeKeyFile(bytes: Uint8Array, id: string): KeyFile {
  const document = { kind: 'key', name: id };
  const fields = new Fields(parseObject(bytes, document), document);
  const kdf = fields.text('kdf');
  if (kdf !== 'scrypt') throw damaged(document, `its kdf is ${kdf}, not scrypt`);
  const salt = fields.need('salt', fields.bytes('salt'));
  if (salt.length !== saltBytes) throw damaged(document, `its salt has ${salt.length} bytes instead of ${saltBytes}`);
  const cost = (field: string): number => {
    const value = fields.need(field, fields.integer(field));
    if (value < 1) throw damaged(document, `${field} is ${value}`);
    return value;
  };
  return {
    created: fields.text('created') ?? '',
    username: fields.text('username') ?? '',
    hostname: fields.text('hostname') ?? '',
    N: cost('N'),
    r: cost('r'),
    p: cost('p'),
    salt,
    data: fields.need('data', fields.bytes('data')),
  };
}

export function encodeKeyMaterial(key: KeyMaterial): Buffer {
  const mac = { k: key.macK.toString('base64'), r: key.macR.toString('base64') };
  return Buffer.from(goJson({ mac, encrypt: key.encrypt.toString('base64') }));
}

/** Throws FILE_DAMAGED, also for a key of which a part is all zero. */
export function decodeKeyMaterial(bytes: Uint8Array, id: string): KeyMaterial {
  const document = { kind: 'key', name: id };
  const object = parseObject(bytes, document);
  const mac = new Fields((object.mac ?? {}) as Record<string, unknown>, document);
  const part = (value: Buffer | undefined, length: number): Buffer => {
    if (value?.length !== length || value.every((byte) => byte === 0))
      throw damaged(document, 'a part of it is invalid');
    return value;
  };
  return {
    encrypt: part(new Fields(object, document).bytes('encrypt'), 32),
    macK: part(mac.bytes('k'), 16),
    macR: part(mac.bytes('r'), 16),
  };
}
