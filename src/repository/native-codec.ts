/**
 * The codec's primitives through koffi: zstd and OpenSSL as they are inside the node binary. Contexts are made once and
 * kept, so that a call on a small blob costs a few µs.
 *
 * The system's libzstd.so and libcrypto.so must never be loaded beside it: their inner calls would bind to node's
 * symbols, which are of another version.
 */
import { createRequire } from 'node:module';
import type { CodecPrimitives } from './codec-primitives.ts';
import type { MasterKey } from './crypto.ts';

type Address = object;
type Bytes = Uint8Array | Int32Array | BigUint64Array;
type Native<Arguments extends unknown[], Result = number> = (...args: Arguments) => Result;

/** What is used of both libraries. Lengths in bytes; ciphers, digests and MACs answer 1 for success. */
interface Library {
  readonly ZSTD_compressCCtx: Native<[Address, Bytes, number, Bytes, number, number]>;
  readonly ZSTD_decompressDCtx: Native<[Address, Bytes, number, Bytes, number]>;
  readonly EVP_Digest: Native<[Bytes, number, Bytes, null, Address, null]>;
  readonly EVP_EncryptInit_ex2: Native<[Address, Address | null, Bytes | null, Bytes | null, null]>;
  readonly EVP_EncryptUpdate: Native<[Address, Bytes, Bytes, Bytes, number]>;
  readonly EVP_CIPHER_CTX_set_padding: Native<[Address, number]>;
  readonly EVP_CIPHER_CTX_new: Native<[], Address>;
  readonly EVP_CIPHER_CTX_free: Native<[Address], void>;
  readonly EVP_MAC_init: Native<[Address, Bytes, number, null]>;
  readonly EVP_MAC_update: Native<[Address, Bytes, number]>;
  readonly EVP_MAC_final: Native<[Address, Bytes, Bytes, number]>;
  readonly compressor: Address;
  readonly decompressor: Address;
  readonly sha256: Address;
  readonly aes256Ctr: Address;
  readonly aes128Ecb: Address;
  readonly poly1305: Address;
}

/** zstd's errors come back as the negative of their number. */
const zstdTargetTooSmall = -70;

let library: Library | undefined;

/** Throws when koffi or a library is missing. */
export function nativePrimitives(key: MasterKey): CodecPrimitives {
  library ??= loadLibrary();
  const native = library;
  const cipher = cipherContext(native, native.aes256Ctr, key.encrypt, Buffer.alloc(16));
  const nonceCipher = cipherContext(native, native.aes128Ecb, key.macK, null);
  native.EVP_CIPHER_CTX_set_padding(nonceCipher, 0);
  const oneTimeKey = Buffer.alloc(32);
  oneTimeKey.set(key.macR);
  const encryptedNonce = oneTimeKey.subarray(16);
  const writtenBytes = new Int32Array(1);
  const macBytes = new BigUint64Array(1);
  const primitives: CodecPrimitives = {
    kind: 'native',
    hash(data, digest) {
      succeeded(native.EVP_Digest(data, data.length, digest, null, native.sha256, null));
    },
    compress(data, out, level) {
      const size = native.ZSTD_compressCCtx(native.compressor, out, out.length, data, data.length, level);
      if (size > 0) return size;
      if (size !== zstdTargetTooSmall) throw new Error(`zstd failed to compress ${data.length} bytes: ${size}`);
      return 0;
    },
    decompress(frame, out) {
      return Math.max(native.ZSTD_decompressDCtx(native.decompressor, out, out.length, frame, frame.length), -1);
    },
    crypt(iv, from, to) {
      succeeded(native.EVP_EncryptInit_ex2(cipher, null, null, iv, null));
      succeeded(native.EVP_EncryptUpdate(cipher, to, writtenBytes, from, from.length));
    },
    authenticate(iv, ciphertext, mac) {
      succeeded(native.EVP_EncryptUpdate(nonceCipher, encryptedNonce, writtenBytes, iv, 16));
      succeeded(native.EVP_MAC_init(native.poly1305, oneTimeKey, 32, null));
      succeeded(native.EVP_MAC_update(native.poly1305, ciphertext, ciphertext.length));
      succeeded(native.EVP_MAC_final(native.poly1305, mac, macBytes, 16));
    },
  };
  contexts.register(primitives, [cipher, nonceCipher]);
  return primitives;
}

/** The key's contexts go with the codec; the libraries' own stay for the life of the thread. */
const contexts = new FinalizationRegistry<Address[]>((unused) => {
  for (const context of unused) library?.EVP_CIPHER_CTX_free(context);
});

function cipherContext(native: Library, cipher: Address, key: Bytes, iv: Bytes | null): Address {
  const context = native.EVP_CIPHER_CTX_new();
  succeeded(native.EVP_EncryptInit_ex2(context, cipher, key, iv, null));
  return context;
}

function succeeded(result: number): void {
  if (result !== 1) throw new Error(`OpenSSL answered ${result}`);
}

function loadLibrary(): Library {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const node = koffi.load(null);
  const fetched = (fetch: string, name: string): Address =>
    present(name, node.func(`void *${fetch}(void *library, str name, str properties)`)(null, name, null));
  const macContextNew = node.func('void *EVP_MAC_CTX_new(void *mac)');
  return {
    ZSTD_compressCCtx: node.func(
      'int64_t ZSTD_compressCCtx(void *context, void *to, size_t room, void *from, size_t length, int level)',
    ),
    ZSTD_decompressDCtx: node.func(
      'int64_t ZSTD_decompressDCtx(void *context, void *to, size_t room, void *from, size_t length)',
    ),
    EVP_Digest: node.func(
      'int EVP_Digest(void *data, size_t length, void *digest, void *digestLength, void *type, void *engine)',
    ),
    EVP_EncryptInit_ex2: node.func(
      'int EVP_EncryptInit_ex2(void *context, void *cipher, void *key, void *iv, void *parameters)',
    ),
    EVP_EncryptUpdate: node.func(
      'int EVP_EncryptUpdate(void *context, void *to, void *written, void *from, int length)',
    ),
    EVP_CIPHER_CTX_set_padding: node.func('int EVP_CIPHER_CTX_set_padding(void *context, int padding)'),
    EVP_CIPHER_CTX_new: node.func('void *EVP_CIPHER_CTX_new()'),
    EVP_CIPHER_CTX_free: node.func('void EVP_CIPHER_CTX_free(void *context)'),
    EVP_MAC_init: node.func('int EVP_MAC_init(void *context, void *key, size_t length, void *parameters)'),
    EVP_MAC_update: node.func('int EVP_MAC_update(void *context, void *data, size_t length)'),
    EVP_MAC_final: node.func('int EVP_MAC_final(void *context, void *to, void *written, size_t room)'),
    compressor: present('ZSTD_CCtx', node.func('void *ZSTD_createCCtx()')()),
    decompressor: present('ZSTD_DCtx', node.func('void *ZSTD_createDCtx()')()),
    sha256: fetched('EVP_MD_fetch', 'SHA256'),
    aes256Ctr: fetched('EVP_CIPHER_fetch', 'AES-256-CTR'),
    aes128Ecb: fetched('EVP_CIPHER_fetch', 'AES-128-ECB'),
    poly1305: present('EVP_MAC_CTX', macContextNew(fetched('EVP_MAC_fetch', 'POLY1305'))),
  };
}

function present(name: string, address: Address | null): Address {
  if (address === null) throw new Error(`there is no ${name}`);
  return address;
}
