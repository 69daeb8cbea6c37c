/** Copy and upgrade, killed at each of their changes (kill-matrix.ts). */
import { join } from 'node:path';
import { expect } from 'vitest';
import { executeCopy } from '../../src/repository/copy.ts';
import { planCopy } from '../../src/repository/copy-plan.ts';
import { initRepository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { upgradeRepository } from '../../src/repository/upgrade.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { blobNames, copiesOf, copy } from './copy-scene.ts';
import { type KillScenes, testKills } from './kill-matrix.ts';
import { backUp, backUpChanges, changeFiles } from './prune-scene.ts';
import { cheapKdf, makeRepository, password } from './restic-repository.ts';

const packSizeBytes = 300_000;

const scenes: KillScenes = {
  async copy() {
    const source = await makeRepository();
    const copied = await backUpChanges(source.repository, packSizeBytes);
    const { folder, repository } = await emptyRepository(2);
    const files = join(await tempDir(), 'files');
    await changeFiles(files, 9);
    const own = await backUp(repository, files, packSizeBytes);
    const ids = copied.map(({ id }) => id).sort();
    return {
      folder,
      kept: [own],
      exclusive: false,
      async run(target) {
        const plan = await planCopy(source.repository, target, await listSnapshots(source.repository));
        const { failed } = await executeCopy(plan, { packSizeBytes });
        expect(failed).toEqual([]);
      },
      async finished(target) {
        const originals = (await listSnapshots(target)).flatMap(({ original }) => original ?? []);
        expect(originals.sort()).toEqual(ids);
        expect(await blobNames(target)).toEqual(
          expect.arrayContaining([...new Set(await blobNames(source.repository))]),
        );
      },
    };
  },
  async upgrade() {
    const source = await makeRepository();
    const backups = await backUpChanges(source.repository, packSizeBytes);
    const { folder, repository } = await emptyRepository(1);
    const kept = copiesOf(backups, await copy(source.repository, repository));
    return {
      folder,
      kept,
      exclusive: true,
      run: (target) => upgradeRepository(target, { saveCopy: async () => undefined }),
      finished: async ({ version }) => expect(version).toBe(2),
    };
  },
};

async function emptyRepository(version: 1 | 2) {
  const folder = join(await tempDir(), 'target');
  const options = { kdf: cheapKdf, chunker: 'rabin', version } as const;
  return { folder, repository: await initRepository(openFolderStore(folder), password, options) };
}

testKills(scenes);
