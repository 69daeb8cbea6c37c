/** Brings a cluster up: three nodes in three zones, storage with snapshots, an S3 server. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { ensureBinaries } from './binaries.ts';
import { type BinaryName, binaries } from './binary-list.ts';
import { makeCertificates } from './certificates.ts';
import { cleanUp } from './clean-up.ts';
import { startControlPlane } from './control-plane.ts';
import { ensureHoldfastImage, holdfastImage } from './image.ts';
import { type ClusterParameters, layoutOf } from './layout.ts';
import { startBridge } from './network.ts';
import { joinCluster, startRuntime } from './node.ts';
import { ensurePackages } from './packages.ts';
import { startS3 } from './s3.ts';
import { busyboxImage, ensureSmallImages } from './small-images.ts';
import { type ClusterState, writeState } from './state.ts';
import { mountStore, startStorage } from './storage.ts';

const clusterBinaries = (Object.keys(binaries) as BinaryName[]).filter((name) => name !== 'csi-sanity');

/** Three kubelets and three containerds watch many files. */
const inotifyInstances = 1024;

/** What an earlier cluster of this name has left is removed first. When it fails, everything is removed again. */
export async function bringUp(parameters: ClusterParameters, progress: (line: string) => void): Promise<ClusterState> {
  const layout = layoutOf(parameters);
  await ensurePackages(progress);
  const bin = await ensureBinaries(clusterBinaries);
  const images = [...(await ensureSmallImages()), await ensureHoldfastImage(progress)];
  await cleanUp(layout);
  try {
    await raiseInotifyLimit();
    await mkdir(layout.stateFolder, { recursive: true });
    progress('certificates, volume store, network');
    await together([makeCertificates(layout), mountStore(layout), startBridge(layout)]);
    const [{ api }] = await together([
      startControlPlane(layout, bin, progress),
      startS3(layout, bin),
      ...layout.nodes.map((node) => startRuntime(layout, node, bin, images)),
    ]);
    progress('waiting for the nodes');
    await together(layout.nodes.map((node) => joinCluster(layout, node, bin, api)));
    progress('waiting for the CSI driver');
    await startStorage(layout, bin, api);
    return await writeState(layout, { kubectl: bin.kubectl, ctr: bin.ctr, holdfastImage, busyboxImage });
  } catch (error) {
    await cleanUp(layout);
    throw error;
  }
}

async function raiseInotifyLimit(): Promise<void> {
  const file = '/proc/sys/fs/inotify/max_user_instances';
  const limit = Number(await readFile(file, 'utf8'));
  if (limit < inotifyInstances) await writeFile(file, String(inotifyInstances));
}

/** As Promise.all, but fails only when all have ended: what still ran would make anew what the clean-up removes. */
async function together<T extends readonly unknown[] | []>(
  tasks: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(tasks);
  return Promise.all(tasks);
}
