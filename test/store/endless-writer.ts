/** Writes packs into the folder store of its argument until it is killed, telling the name of each before. */
import { createHash, randomBytes } from 'node:crypto';
import { openFolderStore } from '../../src/store/folder-store.ts';

const store = openFolderStore(process.argv[2] ?? '');
const bytes = randomBytes(8_000_000);
for (let round = 0; ; round += 1) {
  bytes.writeUInt32LE(round);
  const name = createHash('sha256').update(bytes).digest('hex');
  process.stdout.write(`${name}\n`);
  await store.put('data', name, bytes, name);
}
