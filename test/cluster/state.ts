/** What a running cluster tells its users: written when it is up, read by tests and by the commands beside. */
import { readFile, writeFile } from 'node:fs/promises';
import { type ClusterLayout, layoutOf } from './layout.ts';
import { type S3Access, s3AccessOf } from './s3.ts';

export interface ClusterState {
  readonly name: string;
  readonly network: number;
  readonly stateFolder: string;
  readonly kubeconfig: string;
  /** Paths of programs. */
  readonly kubectl: string;
  readonly ctr: string;
  /** The same address for pods and for the host. */
  readonly s3: S3Access;
  readonly holdfastImage: string;
  readonly busyboxImage: string;
  /** A file here named after a CSI method makes the driver fail or wait: `CODE message` or `DELAY 3s`. */
  readonly faultsFolder: string;
}

export async function writeState(layout: ClusterLayout, rest: Omit<ClusterState, 's3' | keyof LayoutPart>) {
  const state: ClusterState = { ...layoutPart(layout), s3: s3AccessOf(layout), ...rest };
  await writeFile(layout.stateFile, `${JSON.stringify(state, null, 2)}\n`);
  return state;
}

export async function readState(file: string): Promise<ClusterState> {
  return JSON.parse(await readFile(file, 'utf8')) as ClusterState;
}

export function layoutOfState({ name, network, stateFolder }: ClusterState): ClusterLayout {
  return layoutOf({ name, network, stateFolder });
}

type LayoutPart = Pick<ClusterState, 'name' | 'network' | 'stateFolder' | 'kubeconfig' | 'faultsFolder'>;

function layoutPart({ name, network, stateFolder, adminKubeconfig, csiData }: ClusterLayout): LayoutPart {
  return { name, network, stateFolder, kubeconfig: adminKubeconfig, faultsFolder: `${csiData}/faults` };
}
