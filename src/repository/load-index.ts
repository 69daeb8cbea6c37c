/** Reads all index files of a repository into a BlobIndex (restic format v2, "Index files"). */
import { mapLimited } from '../base/concurrency.ts';
import { BlobIndex, type BlobType } from './blob-index.ts';
import { decodeIndexFile, type IndexedPack } from './format/index-file.ts';
import { type IndexSink, readUsualIndex } from './format/index-reader.ts';
import { sealBytes } from './format/pack.ts';
import { loadFile, type Repository } from './repository.ts';

/** Where a blob rests, with the pack by name. */
export interface FoundBlob {
  readonly packId: string;
  readonly offset: number;
  readonly length: number;
  /** 0 when the blob is stored uncompressed. */
  readonly uncompressedLength: number;
}

export class LoadedIndex {
  readonly blobs: BlobIndex;
  /** Pack ids by pack number. */
  readonly packs: string[];

  constructor(blobs: BlobIndex, packs: string[]) {
    this.blobs = blobs;
    this.packs = packs;
  }

  find(type: BlobType, id: string): FoundBlob | undefined {
    const entry = this.blobs.find(type, Buffer.from(id, 'hex'));
    if (entry < 0) return undefined;
    const location = this.blobs.location(entry);
    if (!location) return undefined;
    const { pack, offset, length, uncompressedLength } = location;
    return { packId: this.packs[pack]!, offset, length, uncompressedLength };
  }

  /** How many bytes the blob of an entry has before compression; 0 while it is only claimed. */
  plainLength(entry: number): number {
    const location = this.blobs.location(entry);
    if (!location) return 0;
    return location.uncompressedLength > 0 ? location.uncompressedLength : location.length - sealBytes;
  }
}

/** New blobs that fit beside the loaded ones; memory is only taken as they come. */
const headroomBlobs = 4 << 20;
/** A blob takes at least this much of an index file, since its id does not compress. */
const minBytesPerBlob = 32;
const loadsAtOnce = 5;

/**
 * Loads the index. To write: with room for new blobs, and without the packs that rustic has marked for deletion, since
 * nothing new may rely on them. To read: those, too, where no other pack holds the blob.
 */
export async function loadIndex(repository: Repository, purpose: 'read' | 'write'): Promise<LoadedIndex> {
  const names: string[] = [];
  let bytes = 0;
  for await (const file of repository.store.list('index')) {
    names.push(file.name);
    bytes += file.sizeBytes;
  }
  const expected = Math.ceil(bytes / minBytesPerBlob);
  const headroom = purpose === 'write' ? headroomBlobs : 0;
  const blobs = BlobIndex.create(expected + headroom, expected + Math.min(headroom, 1 << 18));
  const packs: string[] = [];
  const marked: IndexedPack[] = [];
  const sink = addingTo(blobs, packs);
  await mapLimited(names, loadsAtOnce, async (name) => {
    const bytes = await loadFile(repository, 'index', name);
    if (readUsualIndex(bytes, sink)) return;
    const file = decodeIndexFile(bytes, name);
    for (const pack of file.packs) addPack(sink, pack);
    if (purpose === 'read') marked.push(...file.packsToDelete);
  });
  for (const pack of marked) addPack(sink, pack);
  return new LoadedIndex(blobs, packs);
}

/** A blob that is added twice stays where it was first. */
function addingTo(blobs: BlobIndex, packs: string[]): IndexSink {
  return {
    pack: (id) => packs.push(id),
    blob: (type, id, offset, length, uncompressedLength) =>
      blobs.add(type, id, { pack: packs.length - 1, offset, length, uncompressedLength }),
  };
}

function addPack(sink: IndexSink, pack: IndexedPack): void {
  const id = Buffer.allocUnsafe(32);
  sink.pack(pack.id);
  for (const blob of pack.blobs) {
    id.write(blob.id, 'hex');
    sink.blob(blob.type, id, blob.offset, blob.length, blob.uncompressedLength);
  }
}
