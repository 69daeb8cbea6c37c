/** Copies between repositories, as the command makes them, and what they have to be like. */
import { expect } from 'vitest';
import { type CopyResult, executeCopy } from '../../src/repository/copy.ts';
import { type CopyPlan, planCopy } from '../../src/repository/copy-plan.ts';
import type { IndexedBlob } from '../../src/repository/format/index-file.ts';
import type { StoredSnapshot } from '../../src/repository/format/snapshot.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { indexedPacks } from './damage.ts';
import type { Kept } from './prune-scene.ts';

/** Small, so that a test has several packs. */
const packSizeBytes = 300_000;

export async function copy(
  source: Repository,
  target: Repository,
  asked?: readonly StoredSnapshot[],
): Promise<CopyResult & { readonly plan: CopyPlan }> {
  const plan = await planCopy(source, target, asked ?? (await listSnapshots(source)));
  return { plan, ...(await executeCopy(plan, { packSizeBytes })) };
}

/** What was kept of the source, under the ids of its copies. */
export function copiesOf(kept: readonly Kept[], { copied }: CopyResult): Kept[] {
  const ids = new Map(copied.map(({ from, to }) => [from, to]));
  return kept.map(({ id, source }) => {
    const copyId = ids.get(id);
    expect(copyId).toBeDefined();
    return { id: copyId!, source };
  });
}

export async function indexedBlobs(repository: Repository): Promise<IndexedBlob[]> {
  return (await indexedPacks(repository)).flatMap(({ blobs }) => [...blobs]);
}

/** `data <id>` and `tree <id>`, each as often as it is stored. */
export async function blobNames(repository: Repository): Promise<string[]> {
  return (await indexedBlobs(repository)).map(({ type, id }) => `${type} ${id}`).sort();
}
