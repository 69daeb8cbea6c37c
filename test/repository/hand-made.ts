/** Packs and indexes made by hand, as no program would write them. */
import { createHash } from 'node:crypto';
import { seal } from '../../src/repository/crypto.ts';
import { encodeIndex } from '../../src/repository/format/index-file.ts';
import { encodePackHeader } from '../../src/repository/format/pack.ts';
import { type Repository, saveFile } from '../../src/repository/repository.ts';

/** Stores blobs as one pack with its index; their ids. */
export async function storePack(
  repository: Repository,
  type: 'data' | 'tree',
  contents: readonly Buffer[],
): Promise<string[]> {
  const sealed = contents.map((content) => seal(repository.key, content));
  const ids = contents.map((content) => createHash('sha256').update(content).digest('hex'));
  const entries = sealed.map(({ length }, i) => ({ type, id: ids[i]!, length, uncompressedLength: 0 }));
  const header = seal(repository.key, encodePackHeader(entries));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  const pack = Buffer.concat([...sealed, header, length]);
  const id = createHash('sha256').update(pack).digest('hex');
  await repository.store.put('data', id, pack);
  let offset = 0;
  const blobs = entries.map((entry) => {
    const blob = { ...entry, offset };
    offset += entry.length;
    return blob;
  });
  await saveFile(repository, 'index', encodeIndex([{ id, blobs }]));
  return ids;
}
