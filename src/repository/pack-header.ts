/** Reads the header at the end of a pack in the store, without the blobs before it (restic format v2, "Pack files"). */
import { damagedFile } from '../base/damaged-file.ts';
import type { HoldfastError } from '../base/errors.ts';
import { open } from './crypto.ts';
import type { IndexedBlob } from './format/index-file.ts';
import { decodePackHeader, headerLengthBytes, sealBytes } from './format/pack.ts';
import type { Repository } from './repository.ts';

/** Most headers fit into this, and need one read. */
const firstReadBytes = 64 * 1024;

/** What a pack of this size holds, with offsets. Throws FILE_DAMAGED, FILE_NOT_FOUND. */
export async function readPackHeader(
  repository: Repository,
  packId: string,
  sizeBytes: number,
): Promise<IndexedBlob[]> {
  const damaged = (reason: string): HoldfastError => damagedFile({ kind: 'pack', name: packId }, reason);
  const readEnd = (length: number): Promise<Buffer> =>
    repository.store.get('data', packId, { offset: sizeBytes - length, length });

  if (sizeBytes <= headerLengthBytes + sealBytes) throw damaged('it is too short for its header');
  let end = await readEnd(Math.min(sizeBytes, firstReadBytes));
  const headerBytes = end.readUInt32LE(end.length - headerLengthBytes);
  const start = sizeBytes - headerLengthBytes - headerBytes;
  if (headerBytes <= sealBytes || start < 0) throw damaged('it is too short for its header');
  if (headerBytes + headerLengthBytes > end.length) end = await readEnd(headerBytes + headerLengthBytes);
  const sealed = end.subarray(end.length - headerLengthBytes - headerBytes, end.length - headerLengthBytes);
  let offset = 0;
  const blobs = decodePackHeader(open(repository.key, sealed, { kind: 'pack', name: packId }), packId).map((entry) => {
    const blob = { ...entry, offset };
    offset += entry.length;
    return blob;
  });
  if (offset !== start) throw damaged(`its blobs end at ${offset}, its header begins at ${start}`);
  return blobs;
}
