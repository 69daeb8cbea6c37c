/**
 * What a backup of one claim will do, found out by reading alone: every refusal comes before anything is made.
 */
import { HoldfastError } from '../base/errors.ts';
import type { LayoutChoice } from '../base/layouts.ts';
import { parseQuantity } from '../base/quantity.ts';
import type { Cluster } from '../cluster/client.ts';
import { readClusterUid } from '../cluster/connect.ts';
import { workLabels, workName } from '../cluster/labels.ts';
import type { MoverSettings, RepositoryAccess } from '../cluster/mover-pod.ts';
import { type KubeObject, textAt } from '../cluster/object.ts';
import { SNAPSHOT_CLASS, STORAGE_CLASS } from '../cluster/resources.ts';
import { type ClassChoice, chooseSnapshotClass, SNAPSHOT_CLASS_MARK } from '../cluster/snapshot-class.ts';
import { type BackupSource, readSource } from './source.ts';

export interface ClaimBackupOptions extends MoverSettings {
  readonly namespace: string;
  readonly claim: string;
  readonly repository: RepositoryAccess;
  /** Default: the claim's annotation, then the driver's marked, default or only class. */
  readonly snapshotClass?: string | undefined;
  /** The backups' host; default cluster-<first 8 of the cluster's uid>. */
  readonly clusterName?: string | undefined;
  /** Where the namespace kube-system may not be read. */
  readonly clusterUid?: string | undefined;
  readonly policy?: string | undefined;
  /** In whose shape the backup is made; default auto. */
  readonly layout?: LayoutChoice | undefined;
  /** The same for all claims of one run. A label value; default made from the time. */
  readonly run: string;
}

export interface ClaimBackupPlan {
  readonly source: BackupSource;
  readonly method: 'SnapshotMove';
  readonly class: ClassChoice;
  /** Of the temporary claim: the source's, or the only one of its driver. */
  readonly storageClass: string;
  /**
   * Whether the mover has to run where the volume is, since some snapshots can be read only there (R5.7). A class that
   * binds at once chooses the place itself, and the mover follows.
   */
  readonly staysInPlace: boolean;
  readonly clusterUid: string;
  readonly host: string;
  /** Of everything that is made for the time of the run. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Throws all refusals: no such claim, not bound, no snapshots, no class, no credentials, no rights to look. */
export async function planClaimBackup(cluster: Cluster, options: ClaimBackupOptions): Promise<ClaimBackupPlan> {
  refuseUnreachable(options);
  const source = await readSource(cluster, options.namespace, options.claim);
  const classChoice = chooseSnapshotClass(await cluster.list(SNAPSHOT_CLASS), {
    claim: source.title,
    driver: source.driver,
    named: options.snapshotClass,
    annotated: source.claim.metadata.annotations?.[SNAPSHOT_CLASS_MARK],
  });
  if (source.volumeMode === 'Block') {
    throw new HoldfastError('SNAPSHOT_UNSUPPORTED', { claim: source.title, reason: 'it is a raw block volume' });
  }
  const clusterUid = options.clusterUid ?? (await readClusterUid(cluster));
  if (clusterUid === undefined) {
    const reason = 'its UID tells the backups of this cluster from those of others; give it as the cluster uid instead';
    throw new HoldfastError('CLUSTER_DENIED', { verb: 'get', resource: 'the namespace kube-system', reason });
  }
  const storageClass = await chooseStorageClass(cluster, source);
  const identity = { role: 'backup', run: options.run, claimUid: source.claim.metadata.uid } as const;
  return {
    source,
    method: 'SnapshotMove',
    class: classChoice,
    storageClass: storageClass.metadata.name,
    staysInPlace: textAt(storageClass, 'volumeBindingMode') === 'WaitForFirstConsumer',
    clusterUid,
    host: options.clusterName ?? `cluster-${clusterUid.slice(0, 8)}`,
    name: workName(identity, options.claim),
    labels: workLabels(identity),
  };
}

/** The larger of what the snapshot asks for and what the volume has: a driver may grant more than it was asked (R7.4). */
export function temporarySize(restoreSize: string | undefined, capacity: string | undefined): string {
  const sizes = [restoreSize, capacity].filter((size) => size !== undefined);
  sizes.sort((one, other) => (parseQuantity(other) ?? 0) - (parseQuantity(one) ?? 0));
  const [largest] = sizes;
  if (largest === undefined) throw new TypeError('neither the snapshot nor its volume has a size');
  return largest;
}

function refuseUnreachable({ repository, namespace }: ClaimBackupOptions): void {
  if (!repository.url.startsWith('s3:')) {
    throw new HoldfastError('FOLDER_REPOSITORY_IN_CLUSTER', { url: repository.url });
  }
  if (repository.secretName === undefined && repository.credentials === undefined) {
    const reason = 'neither a Secret was named nor were credentials given to send';
    throw new HoldfastError('CREDENTIALS_MISSING', { namespace, reason });
  }
}

/** A snapshot is read through a claim of the same driver, and a claim without a class is never provisioned (R3.3). */
async function chooseStorageClass(cluster: Cluster, source: BackupSource): Promise<KubeObject> {
  const own = source.storageClassName;
  const found = own === undefined ? undefined : await cluster.get(STORAGE_CLASS, undefined, own);
  if (found !== undefined && textAt(found, 'provisioner') === source.driver) return found;
  const classes = await cluster.list(STORAGE_CLASS);
  const fitting = classes.filter((one) => textAt(one, 'provisioner') === source.driver);
  const [only] = fitting;
  if (only !== undefined && fitting.length === 1) return only;
  const names = fitting.map((one) => one.metadata.name).join(', ') || 'none';
  const missing = own === undefined ? 'it has no storage class' : `its storage class ${own} is not there any more`;
  const reason = `${missing}, and the snapshot can be read only through one of ${source.driver} (there are: ${names})`;
  throw new HoldfastError('SNAPSHOT_UNSUPPORTED', { claim: source.title, reason });
}
