/** Gives up an unfinished restore: removes what it made, the half-filled volume too. Nothing else is touched. */
import { HoldfastError } from '../base/errors.ts';
import { isDenied } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { textAt } from '../cluster/object.ts';
import { CLAIM, JOB, type Ref, STORAGE_CLASS } from '../cluster/resources.ts';
import { removeTemporaryClaim } from '../cluster/temporary-claim.ts';
import { dropMover } from './fill.ts';
import { removeSnapshotSource } from './from-snapshot.ts';
import { restoreIdOf, restoreObjectName } from './marks.ts';
import {
  isOfRestore,
  type RestoreEvent,
  type RestoreTimeouts,
  read,
  restoreTimeouts,
  volumeRef,
  waitGone,
} from './run.ts';

export interface AbandonOptions {
  readonly backupId: string;
  readonly namespace: string;
  readonly name: string;
  readonly timeouts?: Partial<RestoreTimeouts>;
  readonly onEvent?: (event: RestoreEvent) => void;
  readonly signal?: AbortSignal;
}

/**
 * @returns how many objects were removed; 0 when there is no such restore.
 * @throws HoldfastError RESTORE_REFUSED when the data is handed over already: then only finishing it is safe.
 */
export async function abandonRestore(cluster: Cluster, options: AbandonOptions): Promise<number> {
  const restoreId = restoreIdOf(options.backupId, options.namespace, options.name);
  const own = restoreObjectName(restoreId);
  const run = { cluster, signal: options.signal, timeouts: { ...restoreTimeouts, ...options.timeouts } };
  const report = (message: string) => options.onEvent?.({ step: 'clean-up', message });
  let removed = 0;
  const remove = async (ref: Ref): Promise<void> => {
    const found = await read(run, ref);
    if (!isOfRestore(found, restoreId)) return;
    await cluster.remove(ref, { uid: found.metadata.uid });
    await waitGone(run, ref, found.metadata.uid);
    report(`${ref.resource.kind} ${ref.name} is gone`);
    removed++;
  };

  const target: Ref = { resource: CLAIM, namespace: options.namespace, name: options.name };
  await refuseWhenHandedOver(run, target, restoreId);
  const mover: Ref = { resource: JOB, namespace: options.namespace, name: own };
  if (isOfRestore(await read(run, mover), restoreId)) removed++;
  await dropMover(run, mover, restoreId);
  await remove(target);
  const temporary: Ref = { ...target, name: own };
  const claim = await read(run, temporary);
  if (isOfRestore(claim, restoreId)) {
    await removeTemporaryClaim(cluster, temporary, claim.metadata.uid, run.timeouts.settleMs);
    report(`temporary claim ${own} and its volume are gone`);
    removed++;
  }
  removed += await removeSnapshotPair(run, options.namespace, restoreId);
  await remove({ resource: STORAGE_CLASS, name: own });
  return removed;
}

/** Whoever may not have anything to do with snapshots has made none. */
async function removeSnapshotPair(
  run: Parameters<typeof removeSnapshotSource>[0],
  namespace: string,
  restoreId: string,
): Promise<number> {
  try {
    return await removeSnapshotSource(run, namespace, restoreId);
  } catch (error) {
    if (isDenied(error)) return 0;
    throw error;
  }
}

async function refuseWhenHandedOver(run: Parameters<typeof read>[0], ref: Ref, restoreId: string): Promise<void> {
  const target = await read(run, ref);
  const volumeName = textAt(target, 'spec', 'volumeName');
  if (!isOfRestore(target, restoreId) || volumeName === undefined) return;
  const volume = await read(run, volumeRef(volumeName));
  if (textAt(volume, 'spec', 'claimRef', 'uid') !== target.metadata.uid) return;
  throw new HoldfastError('RESTORE_REFUSED', {
    reason: `the restored volume ${volumeName} already belongs to ${ref.namespace}/${ref.name}`,
    fix: 'Run the same restore again to finish it.',
  });
}
