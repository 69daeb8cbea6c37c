import { expect, test } from 'vitest';
import { describePlan } from '../../src/restore/describe-plan.ts';
import { planRestore } from '../../src/restore/plan.ts';
import { backup, facts, recipeOf } from './cluster-facts.ts';

test('a plan reads as what will be done and why', () => {
  const wishes = { namespace: 'copy', storageClass: 'immediate', zone: 'c', createNamespace: true };
  const { plan } = planRestore({ backup, recipe: recipeOf(), facts: { ...facts, namespace: 'missing' }, wishes });
  const name = plan!.temporaryClaim.metadata.name;
  expect(describePlan(plan!)).toEqual([
    'backup          abababab, data /shop/data-db-0/volume (10 files, 50.0 MiB)',
    'from            the repository (no CSI snapshot was kept with this backup)',
    'claim           copy/data-db-0',
    'storage class   immediate (chosen)',
    '                differs: binding mode was WaitForFirstConsumer, is Immediate',
    'zone            c (chosen; by a copy of the class that allows only topology.kubernetes.io/zone)',
    'size            200Mi, 200.0 MiB (as requested by the recorded claim)',
    'access          ReadWriteOnce, Filesystem',
    'reclaim policy  Delete in the end (as recorded), Retain until then',
    'creates         Namespace copy',
    `                StorageClass ${name} (until the end of the restore)`,
    `                PersistentVolumeClaim copy/${name} (until the end of the restore)`,
    `                Job copy/${name} (until the data is there)`,
    '                PersistentVolumeClaim copy/data-db-0',
    'keeps           label app',
    '                annotation team.example/owner',
    'drops           label velero.io/backup-name: mark of another backup tool',
    '                label topology.kubernetes.io/zone: says where the old volume was',
    '                annotation pv.kubernetes.io/bind-completed: mark of the old binding',
    '                annotation pv.kubernetes.io/bound-by-controller: mark of the old binding',
    '                annotation volume.kubernetes.io/storage-provisioner: written anew by the cluster',
    '                annotation volume.kubernetes.io/selected-node: node of the old volume',
    '                metadata.ownerReferences: its uid names an object that is gone, so the claim would be deleted with it',
    '                metadata.finalizers: set anew by the cluster where they are needed',
    '                spec.volumeName: names the old volume',
    '                spec.dataSource: names what the old volume was made from',
  ]);
});
