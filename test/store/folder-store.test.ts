import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { storeContract } from '../contract/store-contract.ts';
import { tempDir } from '../setup/temp-dir.ts';

storeContract({
  name: 'a folder',
  needsPlace: true,
  open: async () => {
    const root = join(await tempDir(), 'not', 'there', 'yet');
    return {
      store: openFolderStore(root),
      again: async () => openFolderStore(root),
      addStray: async (path) => {
        await mkdir(dirname(join(root, path)), { recursive: true });
        await writeFile(join(root, path), 'stray');
      },
    };
  },
});
