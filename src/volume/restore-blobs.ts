/** Makes the sealed bytes of a blob its content again, in buffers that live as long as the thread. */
import { HoldfastError } from '../base/errors.ts';
import { type BlobCodec, createBlobCodec } from '../repository/blob-codec.ts';
import type { MasterKey } from '../repository/crypto.ts';

/** No tool makes larger blobs; a broken index must not make us reserve gigabytes. */
const blobLimitBytes = 512 << 20;
const ivBytes = 16;
const macBytes = 16;
const idBytes = 32;

export class BlobOpener {
  readonly #codec: BlobCodec;
  readonly #hash = Buffer.alloc(idBytes);
  #plain = Buffer.allocUnsafeSlow(1 << 20);

  constructor(key: MasterKey) {
    this.#codec = createBlobCodec(key);
  }

  /**
   * Verified against `id`. `sealed` is overwritten; the result is valid until the next call. `uncompressedLength` is 0
   * for a blob that is stored as it is. Throws FILE_DAMAGED.
   */
  open(sealed: Buffer, uncompressedLength: number, id: Buffer): Buffer {
    const opened = sealed.subarray(ivBytes, Math.max(ivBytes, sealed.length - macBytes));
    this.#codec.open(sealed, opened);
    const plain = uncompressedLength === 0 ? opened : this.#decompress(opened, uncompressedLength, id);
    this.#codec.hash(plain, this.#hash, 0);
    if (this.#hash.compare(id) !== 0) {
      throw new HoldfastError('FILE_DAMAGED', { ...named(id), reason: 'its content has another hash' });
    }
    return plain;
  }

  /** SHA-256 into 32 bytes. */
  hash(data: Uint8Array, digest: Uint8Array): void {
    this.#codec.hash(data, digest, 0);
  }

  #decompress(frame: Buffer, length: number, id: Buffer): Buffer {
    if (length > blobLimitBytes) {
      throw new HoldfastError('FILE_DAMAGED', { ...named(id), reason: `it should become ${length} bytes` });
    }
    if (this.#plain.length < length) this.#plain = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#plain.length));
    const plain = this.#plain.subarray(0, length);
    this.#codec.decompress(frame, plain, id.toString('hex'));
    return plain;
  }
}

function named(id: Buffer): { kind: string; name: string } {
  return { kind: 'Blob', name: id.toString('hex') };
}
