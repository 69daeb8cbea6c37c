/**
 * Main-thread side of writing: stores finished packs, several at a time, and lists them in index files only after
 * their upload has succeeded. Order of writing: packs, then the index, then the snapshot (the caller's).
 */
import type { Clock } from '../base/clock.ts';
import type { IndexedBlob } from './format/index-file.ts';
import { IndexWriter } from './index-writer.ts';
import { type FinishedPack, freeSlot, type PackSlot } from './packer.ts';
import type { Repository } from './repository.ts';

export class PackUploader {
  readonly #repository: Repository;
  readonly #index: IndexWriter;
  readonly #uploads = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;
  /** Bytes of packs stored so far, headers and seals included. */
  storedBytes = 0;

  constructor(repository: Repository, clock: Clock) {
    this.#repository = repository;
    this.#index = new IndexWriter(repository, clock);
  }

  /**
   * Starts the upload of a pack; its slot is free again when the upload has ended, which the promise tells. That never
   * rejects: a failure surfaces in `finish`.
   */
  upload(
    pack: FinishedPack,
    memory: SharedArrayBuffer,
    slot: PackSlot | undefined,
    onFailure: (error: unknown) => void,
  ): Promise<void> {
    const upload = this.#store(pack, memory)
      .catch((error: unknown) => {
        this.#failure ??= { error };
        onFailure(error);
      })
      .finally(() => {
        if (slot) freeSlot(slot);
        this.#uploads.delete(upload);
      });
    this.#uploads.add(upload);
    return upload;
  }

  /** Waits for all uploads and writes the last index file; what did arrive is indexed even when something failed. */
  async finish(): Promise<void> {
    while (this.#uploads.size > 0) await Promise.all(this.#uploads);
    await this.#index.flush();
    if (this.#failure) throw this.#failure.error;
  }

  /** After a failure: lets what is under way end, and indexes what arrived. Errors were thrown elsewhere already. */
  async settle(): Promise<void> {
    await this.finish().catch(() => undefined);
  }

  async #store(pack: FinishedPack, memory: SharedArrayBuffer): Promise<void> {
    await this.#repository.store.put('data', pack.id, new Uint8Array(memory, 0, pack.lengthBytes), pack.id);
    this.storedBytes += pack.lengthBytes;
    await this.#index.add({ id: pack.id, blobs: locate(pack) });
  }
}

/** Blobs lie in a pack one after the other, so their offsets are the running sum of their lengths. */
function locate(pack: FinishedPack): IndexedBlob[] {
  let offset = 0;
  return pack.entries.map((entry) => {
    const blob = { ...entry, offset };
    offset += entry.length;
    return blob;
  });
}
