/**
 * Set-up of the cluster tests: uses the running cluster whose state file HOLDFAST_TEST_CLUSTER names (with the image of
 * the sources as they are now), else brings one up and removes it at the end. One for both groups of tests.
 */
import { rm } from 'node:fs/promises';
import type { TestProject } from 'vitest/node';
import { cleanUp } from '../cluster/clean-up.ts';
import { importHoldfastImage } from '../cluster/image.ts';
import { layoutOf, testRunCluster } from '../cluster/layout.ts';
import { holdLock } from '../cluster/lock.ts';
import { type ClusterState, readState } from '../cluster/state.ts';
import { bringUp } from '../cluster/up.ts';

declare module 'vitest' {
  interface ProvidedContext {
    cluster: ClusterState;
  }
}

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (project.getProvidedContext().cluster !== undefined) return undefined;
  const startMs = Date.now();
  const progress = (line: string) => {
    process.stderr.write(`[cluster ${((Date.now() - startMs) / 1000).toFixed(1)} s] ${line}\n`);
  };
  const stateFile = process.env.HOLDFAST_TEST_CLUSTER;
  if (stateFile) {
    const state = await readState(stateFile);
    await importHoldfastImage(state, progress);
    project.vitest.provide('cluster', state);
    return undefined;
  }
  const lock = `${testRunCluster.stateFolder}.lock`;
  const holder = await holdLock(lock);
  if (holder !== undefined) {
    throw new Error(
      `The cluster ${testRunCluster.name} is in use by the tests of process ${holder} (${lock}). ` +
        'Wait for their end, or name another cluster: HOLDFAST_TEST_CLUSTER=/tmp/hfc/cluster.json after npm run cluster:up.',
    );
  }
  project.vitest.provide('cluster', await bringUp(testRunCluster, progress));
  progress('the cluster is up');
  return async () => {
    await cleanUp(layoutOf(testRunCluster));
    await rm(lock, { force: true });
    progress('the cluster is gone');
  };
}
