/** The API server behind a front that breaks connections on demand. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cluster } from '../../../src/cluster/client.ts';
import { connect } from '../../../src/cluster/connect.ts';
import { type FaultFront, startFaultFront } from '../../setup/fault-front.ts';
import type { ClusterState } from '../state.ts';

export interface FrontedCluster {
  readonly cluster: Cluster;
  readonly front: FaultFront;
  close(): Promise<void>;
}

export async function openFrontedCluster(state: ClusterState): Promise<FrontedCluster> {
  const config = JSON.parse(await readFile(state.kubeconfig, 'utf8'));
  const front = await startFaultFront(config.clusters[0].cluster.server);
  config.clusters[0].cluster.server = front.endpoint.replace('http:', 'https:');
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-fronted-'));
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, JSON.stringify(config));
  const cluster = await connect({ kubeconfig });
  await rm(folder, { recursive: true });
  return {
    ...{ cluster, front },
    close: async () => {
      cluster.close();
      await front.stop();
    },
  };
}
