/** In whose namespace a mover runs, and how it is given the copy of a snapshot. Pure. */
import { HoldfastError } from '../base/errors.ts';
import { isRecord, type KubeObject, textAt, valueAt } from '../cluster/object.ts';
import type { BackupPolicy } from '../policy/schema.ts';
import type { MethodChoice } from './plan-method.ts';
import type { BackupSource } from './source.ts';

/** What whoever runs Holdfast decided about movers. */
export interface MoverWishes {
  /** Holdfast's own namespace, where the repository's credentials stay; default the claim's. */
  readonly moverNamespace?: string | undefined;
  /** Secret in the claim's namespace with credentials for that namespace alone, for movers that have to run there. */
  readonly claimSecretName?: string | undefined;
}

export interface MoverChoice {
  readonly moverNamespace: string;
  /** Of the claim that a snapshot is read through; undefined for a mover that has the claim itself. */
  readonly copy: CopyAccess | undefined;
}

export interface CopyAccess {
  readonly accessMode: 'ReadWriteOnce' | 'ReadOnlyMany';
  readonly reason: string;
}

/** On a storage class: whether its driver makes read-only claims of snapshots, and so need not copy them. */
export const READ_ONLY_COPIES = 'holdfast.dev/read-only-copies';

/** MOVER_NAMESPACE_UNFIT where the mover cannot work where it should. */
export function chooseMover(
  source: BackupSource,
  choice: MethodChoice,
  wishes: MoverWishes,
  snapshots?: BackupPolicy['spec']['snapshots'],
): MoverChoice | HoldfastError {
  const { namespace = '' } = source.claim.metadata;
  const { moverNamespace: own = namespace, claimSecretName } = wishes;
  if (choice.method === 'SnapshotMove') {
    const { storageClass } = choice;
    const problem = own === namespace ? undefined : boundToNamespace(storageClass);
    return problem === undefined
      ? { moverNamespace: own, copy: chooseCopy(storageClass, snapshots) }
      : unfit(source, own, problem);
  }
  if (choice.method === 'FileCopy' && own !== namespace && claimSecretName === undefined) {
    return unfit(source, own, `by FileCopy it mounts the claim itself, which only pods of ${namespace} can`);
  }
  return { moverNamespace: namespace, copy: undefined };
}

/** Never a guess: a driver that cannot do it leaves the claim Pending for ever (R3.9). */
function chooseCopy(storageClass: KubeObject, snapshots: BackupPolicy['spec']['snapshots']): CopyAccess {
  const { name, annotations } = storageClass.metadata;
  const driver = textAt(storageClass, 'provisioner') ?? '';
  const ofPolicy = snapshots?.readOnlyCopies?.[name];
  if (ofPolicy !== undefined) return copyAccess(ofPolicy, 'the policy says so');
  const mark = annotations?.[READ_ONLY_COPIES];
  if (mark !== undefined) return copyAccess(mark === 'true', `the storage class ${name} says so`);
  if (readsSnapshotsInPlace(driver)) return copyAccess(true, `${driver} reads snapshots in place`);
  return copyAccess(false, 'nothing says that the driver can do without a copy of its own');
}

function copyAccess(readOnly: boolean, reason: string): CopyAccess {
  return { accessMode: readOnly ? 'ReadOnlyMany' : 'ReadWriteOnce', reason };
}

/** CephFS, by whatever prefix an operator gave the driver. */
function readsSnapshotsInPlace(driver: string): boolean {
  return driver === 'cephfs.csi.ceph.com' || driver.endsWith('.cephfs.csi.ceph.com');
}

/** A class may name Secrets of the claim's namespace, or the claim: another namespace has none of them. */
function boundToNamespace(storageClass: KubeObject): string | undefined {
  const parameters = valueAt(storageClass, 'parameters');
  const values = isRecord(parameters) ? Object.entries(parameters) : [];
  const found = values.find(([key, value]) => /secret/.test(key) && /\$\{pvc\./.test(String(value)));
  if (found === undefined) return undefined;
  return `the storage class ${storageClass.metadata.name} takes its Secrets by the claim (${found[0]})`;
}

function unfit({ title }: BackupSource, namespace: string, reason: string): HoldfastError {
  return new HoldfastError('MOVER_NAMESPACE_UNFIT', { claim: title, namespace, reason });
}
