/** Backs up the content of a claim in the shape of its history; where that has no place for the recipe, it goes beside. */
import type { BackupJob } from '../base/mover-protocol.ts';
import { tagOf } from '../repository/claim-layout.ts';
import { recordRecipe } from '../repository/ledger/recipe-record.ts';
import type { Repository } from '../repository/repository.ts';
import type { BackupOptions } from './backup.ts';
import type { BackupSummary } from './backup-summary.ts';
import { type ClaimHistory, shapeOf } from './continue-claim.ts';

/** What every backup of a claim says, whoever reads its files. */
export type ShapedOptions = Pick<BackupOptions, 'host' | 'paths' | 'tags' | 'tagComplete' | 'place' | 'exclude'> &
  Pick<BackupOptions, 'parentId'> &
  ShapedRun & { readonly timeMs: number };

export interface ShapedRun {
  readonly signal: AbortSignal;
  readonly confirmLock: () => Promise<void>;
}

/** `make` makes the backup; `onShape` is told of the shape of another program. */
export async function backupInShape(
  repository: Repository,
  job: BackupJob,
  recipe: Buffer,
  run: ShapedRun & { readonly onShape?: (layout: string, paths: readonly string[]) => void },
  make: (options: ShapedOptions) => Promise<BackupSummary>,
): Promise<BackupSummary> {
  const file = { name: job.recipeFileName, content: recipe };
  const history = historyOf(job);
  const shape = await shapeOf(repository, history);
  if (shape) run.onShape?.(shape.layout, shape.paths);
  const common = { timeMs: job.timeMs, signal: run.signal, confirmLock: run.confirmLock };
  const summary = await make({
    host: job.host,
    paths: job.paths,
    tagComplete: true,
    ...(shape ?? { place: { dirs: job.folders, name: 'volume', files: [file] } }),
    tags: [...job.tags, ...(shape?.tags ?? [])],
    ...(job.parentId === undefined ? {} : { parentId: job.parentId }),
    ...common,
  });
  if (shape) {
    const record = { ...history, host: job.host, fileName: file.name, content: recipe };
    await recordRecipe(repository, { ...record, backupId: summary.backupId }, common);
  }
  return summary;
}

function historyOf({ folders, tags, clusterUid, layout = 'auto' }: BackupJob): ClaimHistory {
  const [namespace = '', claim = ''] = folders;
  return { namespace, claim, uid: tagOf({ tags }, 'uid'), clusterUid, layout };
}
