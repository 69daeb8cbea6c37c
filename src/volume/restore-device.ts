/** Writes the image of a block device back onto one: every byte, zeros too, since a new device may hold anything. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { BlobReader } from '../repository/blob-reader.ts';
import { findEntry } from '../repository/find-entry.ts';
import type { StoredSnapshot } from '../repository/format/snapshot.ts';
import { loadIndex } from '../repository/load-index.ts';
import type { Repository } from '../repository/repository.ts';
import { imageName } from './backup-device.ts';
import { sizeOfDevice } from './device-size.ts';
import { dumpFile } from './dump.ts';

export interface DeviceRestore {
  readonly snapshot: StoredSnapshot;
  /** The folder with the image: `/shop/data/volume`. */
  readonly subfolder: string;
  /** A device, or a file that is large enough. */
  readonly target: string;
  readonly onProgress?: (progress: { files: number; bytes: number }) => void;
  readonly signal?: AbortSignal;
}

export interface DeviceRestoreSummary {
  readonly files: number;
  readonly bytes: number;
  readonly errors: readonly { readonly path: string; readonly message: string }[];
  readonly durationMs: number;
}

/**
 * Blobs are verified as they are read. Throws PATH_NOT_IN_BACKUP, TARGET_TOO_SMALL before anything is written,
 * RESTORE_TARGET_UNUSABLE, and what reading the repository throws; then the device is not whole.
 */
export async function restoreDevice(repository: Repository, o: DeviceRestore): Promise<DeviceRestoreSummary> {
  const startedMs = Date.now();
  const index = await loadIndex(repository, 'read');
  const reader = new BlobReader(repository, index);
  const image = await findEntry(reader, o.snapshot, `${o.subfolder}/${imageName}`);
  const sizeBytes = image.node?.sizeBytes ?? 0;
  const device = await openTarget(o.target);
  try {
    refuseSmaller(sizeOfDevice(device.fd), sizeBytes);
    let bytes = 0;
    const source = { reader, index, ...(o.signal === undefined ? {} : { signal: o.signal }) };
    for await (const piece of dumpFile(source, image)) {
      await writeAll(device, piece, bytes, o.target);
      bytes += piece.length;
      o.onProgress?.({ files: 0, bytes });
    }
    if (bytes !== sizeBytes) {
      const reason = `its image has ${bytes} bytes instead of ${sizeBytes}`;
      throw new HoldfastError('FILE_DAMAGED', { kind: 'image', name: imageName, reason });
    }
    await device.sync();
    return { files: 1, bytes, errors: [], durationMs: Date.now() - startedMs };
  } finally {
    await device.close();
  }
}

function refuseSmaller(hasBytes: number, neededBytes: number): void {
  if (hasBytes >= neededBytes) return;
  const [needed, size] = [`${neededBytes} bytes`, `${hasBytes} bytes`];
  throw new HoldfastError('TARGET_TOO_SMALL', { needed, size, neededBytes, sizeBytes: hasBytes });
}

async function openTarget(target: string): Promise<FileHandle> {
  try {
    return await open(target, constants.O_RDWR);
  } catch (error) {
    throw new HoldfastError('RESTORE_TARGET_UNUSABLE', { target, reason: messageOf(error) }, { cause: error });
  }
}

async function writeAll(device: FileHandle, piece: Buffer, position: number, target: string): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    try {
      const { bytesWritten } = await device.write(piece, done, piece.length - done, position + done);
      done += bytesWritten;
    } catch (error) {
      throw new HoldfastError('RESTORE_TARGET_UNUSABLE', { target, reason: messageOf(error) }, { cause: error });
    }
  }
}
