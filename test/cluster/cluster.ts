/**
 * Brings the test cluster up or down by hand.
 *
 *   node test/cluster/cluster.ts up|down [--name hfc] [--network 250] [--state /tmp/hfc]
 */
import { parseArgs } from 'node:util';
import { cleanUp } from './clean-up.ts';
import { type ClusterParameters, layoutOf, standingCluster } from './layout.ts';
import type { ClusterState } from './state.ts';
import { bringUp } from './up.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { name: { type: 'string' }, network: { type: 'string' }, state: { type: 'string' } },
});

const name = values.name ?? standingCluster.name;
const parameters: ClusterParameters = {
  name,
  network: Number(values.network ?? standingCluster.network),
  stateFolder: values.state ?? `/tmp/${name}`,
};

const startMs = Date.now();
const progress = (line: string) => {
  process.stderr.write(`${((Date.now() - startMs) / 1000).toFixed(1).padStart(6)} s  ${line}\n`);
};

const [action] = positionals;
if (action === 'up') {
  const state = await bringUp(parameters, progress);
  progress('the cluster is up');
  process.stdout.write(usage(state));
} else if (action === 'down') {
  await cleanUp(layoutOf(parameters));
  progress('the cluster is gone');
} else {
  throw new Error('usage: node test/cluster/cluster.ts up|down [--name NAME] [--network N] [--state FOLDER]');
}

function usage({ kubeconfig, kubectl, s3, stateFolder, holdfastImage }: ClusterState): string {
  return `
export KUBECONFIG=${kubeconfig} HOLDFAST_TEST_CLUSTER=${stateFolder}/cluster.json
export AWS_ACCESS_KEY_ID=${s3.accessKeyId} AWS_SECRET_ACCESS_KEY=${s3.secretAccessKey} AWS_DEFAULT_REGION=${s3.region}

${kubectl} get nodes
repository for pods and for this machine: s3:${s3.endpoint}/${s3.bucket}/NAME
image: ${holdfastImage} (after changes: node test/cluster/image.ts --import)
logs: ${stateFolder}/log
`;
}
