/** What must stay true: a device comes back byte for byte, by Holdfast and by restic, and never half of it. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { initRepository, type Repository } from '../../src/repository/repository.ts';
import { loadSnapshot } from '../../src/repository/snapshots.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { backupDevice } from '../../src/volume/backup-device.ts';
import { sizeOfDevice } from '../../src/volume/device-size.ts';
import { restoreDevice } from '../../src/volume/restore-device.ts';
import { noise } from '../fixtures/make-tree.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';

const password = 'geheim';
const subfolder = '/shop/disk/volume';
const sizeBytes = (130 << 20) + 4096;
const recipe = { name: 'manifest.json', content: Buffer.from('{}\n') };

let folder: string;
let device: string;
let repository: Repository;

beforeAll(async () => {
  folder = await tempDir();
  device = join(folder, 'device');
  // Larger than two segments of the chunker, nearly all of it holes, with data over a border of them and at the end.
  writeFileSync(device, noise('start', 3 << 20));
  truncateSync(device, sizeBytes);
  write(noise('border', 1 << 20), (64 << 20) - 1000);
  write(Buffer.from('the end'), sizeBytes - 7);
  repository = await initRepository(openFolderStore(join(folder, 'repository')), password);
});

function write(bytes: Buffer, position: number): void {
  const file = openSync(device, 'r+');
  writeSync(file, bytes, 0, bytes.length, position);
  closeSync(file);
}

function backUp() {
  const place = { dirs: ['shop', 'disk'], name: 'volume', files: [recipe] };
  const paths = ['/shop/disk'];
  return backupDevice(repository, { device, place, host: 'test', paths, tags: [], tagComplete: true, workers: 2 });
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

describeWith('restic', 'a block device backed up by Holdfast', () => {
  it('is one image beside its recipe, restored by restic and by Holdfast to the same bytes', async () => {
    const summary = await backUp();
    expect(summary).toMatchObject({ filesNew: 1, bytesProcessed: sizeBytes, errors: [] });
    expect(summary.bytesStored).toBeLessThan(6 << 20);
    const env = { RESTIC_REPOSITORY: join(folder, 'repository'), RESTIC_PASSWORD: password };
    expect(await restic(['check', '--read-data'], { env })).toContain('no errors were found');
    const restored = join(folder, 'restored');
    await restic(['restore', summary.backupId, '--target', restored], { env });
    const image = join(restored, subfolder, 'volume.img');
    expect(hashOf(image)).toBe(hashOf(device));
    expect(statSync(image).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(restored, 'shop/disk/manifest.json'), 'utf8')).toBe('{}\n');

    const target = join(folder, 'target');
    // What an earlier owner left on the device is gone afterwards, where the image has zeros too.
    writeFileSync(target, Buffer.alloc(sizeBytes + 8192, 0xaa));
    const snapshot = await loadSnapshot(repository, summary.backupId);
    const written = await restoreDevice(repository, { snapshot, subfolder, target });
    expect(written).toMatchObject({ files: 1, bytes: sizeBytes, errors: [] });
    const found = readFileSync(target);
    expect(found.subarray(0, sizeBytes).equals(readFileSync(device))).toBe(true);
    expect(found.subarray(sizeBytes).every((byte) => byte === 0xaa)).toBe(true);
  });

  it('stores of a changed device only what changed', async () => {
    await backUp();
    write(noise('changed', 100_000), 100 << 20);
    const second = await backUp();
    expect(second.bytesAdded).toBeLessThan(20 << 20);
    expect(second.bytesStored).toBeLessThan(2 << 20);
  });

  it('is not restored onto a smaller device, of which nothing is touched', async () => {
    const { backupId } = await backUp();
    const target = join(folder, 'small');
    writeFileSync(target, Buffer.alloc(1 << 20, 0xbb));
    const snapshot = await loadSnapshot(repository, backupId);
    await expect(restoreDevice(repository, { snapshot, subfolder, target })).rejects.toMatchObject({
      code: 'TARGET_TOO_SMALL',
    });
    expect(readFileSync(target).every((byte) => byte === 0xbb)).toBe(true);
  });
});

it('the size of a device is found whatever it is', async () => {
  const path = join(await tempDir(), 'sized');
  for (const size of [0, 1, 4095, 1 << 20, (1 << 20) + 1, 5_000_000_001]) {
    writeFileSync(path, '');
    truncateSync(path, size);
    const file = openSync(path, 'r');
    expect(sizeOfDevice(file)).toBe(size);
    closeSync(file);
  }
});
