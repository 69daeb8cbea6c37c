/**
 * Is everything there, and is it what it should be? Structure always (indexes, packs, snapshots, trees), the data by
 * request. Damage is collected, never thrown; only what ends every access, such as a store out of reach, is thrown.
 */
import { checkData, type DataOptions } from './check-data.ts';
import { type CheckFinding, Findings } from './check-findings.ts';
import { type CheckedIndex, checkIndex } from './check-index.ts';
import { type PackSubset, selectPacks } from './check-subset.ts';
import { checkTrees } from './check-trees.ts';
import type { StoredSnapshot } from './format/snapshot.ts';
import type { Repository } from './repository.ts';
import { listSnapshots } from './snapshots.ts';

export interface CheckProgress {
  readonly step: 'index' | 'packs' | 'snapshots' | 'trees' | 'data';
  readonly done: number;
  /** Undefined while it is not known. */
  readonly total?: number;
}

export interface CheckOptions extends Pick<DataOptions, 'workers' | 'env' | 'signal'> {
  /** All packs, or some of them. Default: none. */
  readonly readData?: boolean | PackSubset;
  readonly onProgress?: (progress: CheckProgress) => void;
}

export interface CheckReport {
  /** What cannot be restored or trusted. The first 1000; errorCount counts all. */
  readonly errors: readonly CheckFinding[];
  readonly errorCount: number;
  /** What is unusual and harmless. The first 1000; hintCount counts all. */
  readonly hints: readonly CheckFinding[];
  readonly hintCount: number;
  readonly snapshots: number;
  readonly trees: number;
  readonly packs: number;
  readonly packBytes: number;
  readonly blobs: number;
  /** Of packs read whole. */
  readonly packsRead: number;
}

/** Checks a repository while the caller holds a lock that keeps packs from being removed. */
export async function checkRepository(repository: Repository, options: CheckOptions = {}): Promise<CheckReport> {
  const { onProgress, signal } = options;
  const findings = new Findings();
  // Snapshots before the index before the packs: what is written meanwhile never looks as if it was missing.
  const snapshots = await loadSnapshots(repository, findings);
  onProgress?.({ step: 'snapshots', done: snapshots.length, total: snapshots.length });
  signal?.throwIfAborted();
  const checked = await checkIndex(repository, findings);
  onProgress?.({ step: 'index', done: checked.files.length, total: checked.files.length });
  signal?.throwIfAborted();
  const present = await checkPackFiles(repository, checked, findings);
  onProgress?.({ step: 'packs', done: present.size, total: checked.packs.size });
  const trees = await checkTrees(repository, checked.index, snapshots, findings, {
    onProgress: ({ trees: done, waiting }) => onProgress?.({ step: 'trees', done, total: done + waiting }),
    ...(signal ? { signal } : {}),
  });
  const packsRead = await readData(repository, checked, present, findings, options);
  let packBytes = 0;
  for (const { sizeBytes } of checked.packs.values()) packBytes += sizeBytes;
  const { errors, errorCount, hints, hintCount } = findings;
  const found = { errors, errorCount, hints, hintCount };
  const counts = { snapshots: snapshots.length, trees, packs: checked.packs.size, packBytes, blobs: checked.blobs };
  return { ...found, ...counts, packsRead };
}

function loadSnapshots(repository: Repository, findings: Findings): Promise<StoredSnapshot[]> {
  return listSnapshots(repository, { onError: (error, id) => findings.failure('snapshot', id, error) });
}

/** The packs that the index lists and that are there. */
async function checkPackFiles(
  repository: Repository,
  { packs, markedPacks }: CheckedIndex,
  findings: Findings,
): Promise<Set<string>> {
  const present = new Set<string>();
  for await (const { name, sizeBytes } of repository.store.list('data')) {
    const pack = packs.get(name);
    if (pack) {
      present.add(name);
      if (pack.sizeBytes !== sizeBytes) {
        findings.error('pack', name, `it has ${sizeBytes} bytes, and must have ${pack.sizeBytes}`);
      }
    } else if (!markedPacks.has(name)) {
      findings.hint('pack', name, 'no index lists it: left over from a backup that was interrupted, or in the making');
    }
  }
  for (const id of packs.keys()) if (!present.has(id)) findings.error('pack', id, 'it is missing');
  return present;
}

async function readData(
  repository: Repository,
  checked: CheckedIndex,
  present: ReadonlySet<string>,
  findings: Findings,
  { readData: which = false, onProgress, workers, env, signal }: CheckOptions,
): Promise<number> {
  if (which === false) return 0;
  const there = new Map([...checked.packs].filter(([id]) => present.has(id)));
  const wanted = which === true ? new Set(there.keys()) : selectPacks(there, which);
  let done = 0;
  await checkData(repository, checked, wanted, findings, {
    onPack: () => onProgress?.({ step: 'data', done: ++done, total: wanted.size }),
    ...(workers === undefined ? {} : { workers }),
    ...(env ? { env } : {}),
    ...(signal ? { signal } : {}),
  });
  return wanted.size;
}
