/**
 * The envelope around everything that a repository keeps secret: IV, AES-256-CTR, Poly1305-AES over the ciphertext
 * (restic format v2, "Crypto envelope"). For files and keys; blobs have a faster path in blob-codec.ts.
 */
import { createCipheriv, createDecipheriv, createMac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type DocumentName, damaged } from './format/document.ts';
import type { KeyMaterial } from './format/key.ts';

export type MasterKey = KeyMaterial;

const ivBytes = 16;
const macBytes = 16;

export function drawMasterKey(): MasterKey {
  return { encrypt: randomBytes(32), macK: randomBytes(16), macR: randomBytes(16) };
}

/** IV (16, random), ciphertext, MAC (16): 32 bytes more than the plaintext. */
export function seal(key: MasterKey, plain: Uint8Array): Buffer {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv('aes-256-ctr', key.encrypt, iv);
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([iv, sealed, authenticate(key, iv, sealed)]);
}

/** The plaintext. Throws FILE_DAMAGED, naming `document`, when the bytes were not sealed with this key. */
export function open(key: MasterKey, sealed: Uint8Array, document: DocumentName): Buffer {
  const plain = tryOpen(key, sealed);
  if (plain) return plain;
  throw damaged(document, 'its signature does not fit its content');
}

/** As open; undefined instead of an error. */
export function tryOpen(key: MasterKey, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < ivBytes + macBytes) return undefined;
  const iv = sealed.subarray(0, ivBytes);
  const ciphertext = sealed.subarray(ivBytes, sealed.length - macBytes);
  const mac = sealed.subarray(sealed.length - macBytes);
  if (iv.every((byte) => byte === 0) || !timingSafeEqual(mac, authenticate(key, iv, ciphertext))) {
    return undefined;
  }
  const decipher = createDecipheriv('aes-256-ctr', key.encrypt, iv);
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
}

/** Poly1305 with the one-time key `r || AES-128(k, IV)`. */
export function authenticate(key: MasterKey, iv: Uint8Array, message: Uint8Array): Buffer {
  const block = createCipheriv('aes-128-ecb', key.macK, null).setAutoPadding(false);
  const oneTimeKey = Buffer.concat([key.macR, block.update(iv), block.final()]);
  return createMac('poly1305', oneTimeKey).update(message).final();
}
