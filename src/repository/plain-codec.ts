/** The codec's primitives with node:crypto and node:zlib only: slower, and there on every platform. */
import { createCipheriv, createMac, hash } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { CodecPrimitives } from './codec-primitives.ts';
import type { MasterKey } from './crypto.ts';

declare module 'node:crypto' {
  /** There since Node 26, not yet in @types/node. */
  function createMac(algorithm: 'poly1305', key: Uint8Array): { update(data: Uint8Array): { final(): Buffer } };
}

export function plainPrimitives(key: MasterKey): CodecPrimitives {
  const nonceCipher = createCipheriv('aes-128-ecb', key.macK, null).setAutoPadding(false);
  return {
    kind: 'plain',
    hash(data, digest) {
      digest.set(hash('sha256', data, 'buffer'));
    },
    compress(data, out, level) {
      const frame = zstdCompressSync(data, {
        params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 0 },
        pledgedSrcSize: data.length,
      });
      if (frame.length > out.length) return 0;
      out.set(frame);
      return frame.length;
    },
    decompress(frame, out) {
      try {
        const data = zstdDecompressSync(frame, { maxOutputLength: Math.max(out.length, 1) });
        out.set(data);
        return data.length;
      } catch {
        return -1;
      }
    },
    crypt(iv, from, to) {
      to.set(createCipheriv('aes-256-ctr', key.encrypt, iv).update(from));
    },
    authenticate(iv, ciphertext, mac) {
      const oneTimeKey = Buffer.concat([key.macR, nonceCipher.update(iv)]);
      mac.set(createMac('poly1305', oneTimeKey).update(ciphertext).final());
    },
  };
}
