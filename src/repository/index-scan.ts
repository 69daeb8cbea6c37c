/** Goes through index files one after the other, so that a large index is never in memory as objects. */
import { decodeIndexFile, type IndexFile } from './format/index-file.ts';
import { loadFile, type Repository } from './repository.ts';

export interface ScannedIndexFile extends IndexFile {
  readonly name: string;
}

const loadsAhead = 4;

/** The files in the order of their names, each decoded when it is its turn. Throws FILE_NOT_FOUND, FILE_DAMAGED. */
export async function* scanIndex(
  repository: Repository,
  names: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<ScannedIndexFile> {
  const loading: Promise<Buffer>[] = [];
  let next = 0;
  try {
    for (const name of names) {
      signal?.throwIfAborted();
      while (next < names.length && loading.length < loadsAhead) {
        const load = loadFile(repository, 'index', names[next++]!);
        // Whoever waits for it gets the error; until then it is not unhandled.
        load.catch(() => undefined);
        loading.push(load);
      }
      yield { name, ...decodeIndexFile(await loading.shift()!, name) };
    }
  } finally {
    await Promise.allSettled(loading);
  }
}

/** The names of all index files, sorted, and how many bytes they have together. */
export async function listIndex(repository: Repository): Promise<{ names: string[]; sizeBytes: number }> {
  const names: string[] = [];
  let bytes = 0;
  for await (const { name, sizeBytes } of repository.store.list('index')) {
    names.push(name);
    bytes += sizeBytes;
  }
  return { names: names.sort(), sizeBytes: bytes };
}
