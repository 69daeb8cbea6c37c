/** Last step of a check, by request: reads packs whole and verifies each blob in them. */
import { availableParallelism } from 'node:os';
import { mapLimited, Semaphore } from '../base/concurrency.ts';
import type { Findings } from './check-findings.ts';
import type { CheckedIndex } from './check-index.ts';
import { CheckWorkers } from './check-workers.ts';
import { fetchAndVerify } from './fetch-pack.ts';
import { decodeIndex, type IndexedPack } from './format/index-file.ts';
import { loadFile, type Repository } from './repository.ts';
import { createPackVerifier } from './verify-pack.ts';

export interface DataOptions {
  /** Threads; 0 works in this one. Default: one for each core, up to 8. */
  readonly workers?: number;
  /** Credentials for the stores that the threads open. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly onPack?: (sizeBytes: number) => void;
  readonly signal?: AbortSignal;
}

const mostWorkers = 8;
/** One pack is fetched while another is verified. */
const packsPerWorker = 2;
/** Of packs in memory at a time. */
const memoryBytes = 512 << 20;

/** Verifies the packs of `wanted`, each once. */
export async function checkData(
  repository: Repository,
  checked: CheckedIndex,
  wanted: ReadonlySet<string>,
  findings: Findings,
  options: DataOptions = {},
): Promise<void> {
  const { store, key } = repository;
  const count = options.workers ?? Math.min(availableParallelism(), mostWorkers);
  const workers = count === 0 ? undefined : new CheckWorkers(count, { url: store.url, env: options.env, key });
  const verifyHere = createPackVerifier(key);
  const memory = new Semaphore(memoryBytes);
  try {
    const packs = eachPack(repository, checked, wanted);
    await mapLimited(packs, Math.max(count, 1) * packsPerWorker, async ({ id, blobs }) => {
      options.signal?.throwIfAborted();
      const { sizeBytes } = checked.packs.get(id)!;
      const problems = await memory.run(
        () => (workers ? workers.verify(id, blobs) : fetchAndVerify(store, verifyHere, id, blobs)),
        sizeBytes,
      );
      for (const problem of problems) findings.error('pack', id, problem);
      options.onPack?.(sizeBytes);
    });
  } finally {
    await workers?.close();
  }
}

/** The index files are read a second time, so that not all of their entries need to be in memory at once. */
async function* eachPack(
  repository: Repository,
  { files }: CheckedIndex,
  wanted: ReadonlySet<string>,
): AsyncGenerator<IndexedPack> {
  const done = new Set<string>();
  for (const name of files) {
    for (const pack of decodeIndex(await loadFile(repository, 'index', name), name)) {
      if (!wanted.has(pack.id) || done.has(pack.id)) continue;
      done.add(pack.id);
      yield pack;
    }
  }
}
