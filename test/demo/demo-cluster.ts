/**
 * `npm run demo:cluster`: a claim in a real cluster is backed up to a real S3 server, its namespace is deleted, and it
 * comes back: same zone, size, class, policy and bytes; and the real restic reads the same backup. Uses the cluster that
 * HOLDFAST_TEST_CLUSTER names, else brings one up and removes it at the end.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cleanUp } from '../cluster/clean-up.ts';
import { type ClusterParameters, layoutOf } from '../cluster/layout.ts';
import { type ClusterState, readState } from '../cluster/state.ts';
import { bringUp } from '../cluster/up.ts';
import { bold, DemoShell } from './shell.ts';
import { describeVolume, readerManifest, shopManifest, zone } from './shop-manifests.ts';

const demoCluster: ClusterParameters = { name: 'hfd', network: 252, stateFolder: '/tmp/hfd' };
const columns = `CLAIM VOLUME SIZE CLASS POLICY ZONE
.spec.claimRef.name .metadata.name .spec.capacity.storage .spec.storageClassName .spec.persistentVolumeReclaimPolicy .spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0]
`;

const given = process.env.HOLDFAST_TEST_CLUSTER;
const folder = mkdtempSync(join(tmpdir(), 'holdfast-demo-'));
process.once('SIGINT', () => void tidyUp().finally(() => process.exit(130)));
try {
  const state =
    given === undefined ? await bringUp(demoCluster, (line) => console.error(`… ${line}`)) : await readState(given);
  tellStory(folder, state);
} catch (error) {
  console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  await tidyUp();
}

async function tidyUp(): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  if (given === undefined) await cleanUp(layoutOf(demoCluster));
}

function tellStory(folder: string, state: ClusterState): void {
  const { s3, kubeconfig, kubectl, busyboxImage, holdfastImage } = state;
  const shell = new DemoShell(
    folder,
    {
      KUBECONFIG: kubeconfig,
      AWS_ACCESS_KEY_ID: s3.accessKeyId,
      AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
      AWS_DEFAULT_REGION: s3.region,
    },
    [dirname(kubectl)],
  );
  writeFileSync(join(folder, 'shop.yaml'), shopManifest(busyboxImage));
  writeFileSync(join(folder, 'reader.yaml'), readerManifest(busyboxImage));
  writeFileSync(join(folder, 'columns'), columns);
  writeFileSync(join(folder, 'password'), 'correct horse battery staple\n', { mode: 0o600 });

  shell.say(
    'A cluster with three nodes in three zones, and a shop in it: a claim, and a pod that writes to its volume.',
  );
  shell.run('kubectl get nodes -L topology.kubernetes.io/zone');
  shell.run('kubectl apply -f shop.yaml');
  shell.run('kubectl -n shop wait --for=condition=Ready --timeout=120s pod/shop');
  shell.run('until kubectl -n shop logs shop | grep "the shop is open"; do sleep 0.5; done');
  const before = shell.quiet(`kubectl -n shop exec shop -- sh -ec '${describeVolume}'`);
  const volumeBefore = shell.capture("kubectl get pv -o custom-columns-file=columns | grep -E '^(CLAIM|orders) '");

  shell.say('Backups go to object storage. The credentials are those of the AWS SDK: AWS_ACCESS_KEY_ID and so on.');
  shell.export('HOLDFAST_REPOSITORY', `s3:${s3.endpoint}/${s3.bucket}/demo-${Date.now()}`);
  shell.export('HOLDFAST_PASSWORD_FILE', 'password');
  shell.export('HOLDFAST_MOVER_IMAGE', holdfastImage);
  shell.run('holdfast init');

  shell.say('The claim is backed up while its pod runs on: cut by a CSI snapshot, moved by a Job in its namespace.');
  shell.run('holdfast backup shop/orders --send-credentials');
  shell.run('holdfast list');
  shell.say('Nothing of the backup is left in the namespace.');
  shell.run('kubectl -n shop get volumesnapshots,jobs,secrets');

  shell.say('Disaster: the namespace is deleted, and with it the claim, its volume and all data.');
  shell.run('kubectl delete namespace shop --timeout=180s');
  shell.run(`kubectl wait --for=delete --timeout=60s pv/${volumeBefore.match(/pvc-\S+/)?.[0]}`);
  shell.run('kubectl get pv | grep shop/orders || echo "no volume of shop/orders is left"');

  shell.say('What would a restore make, where, and why?');
  shell.run('holdfast restore latest --create-namespace --plan');

  shell.say('Do it.');
  shell.run('holdfast restore latest --create-namespace --send-credentials');
  shell.run('kubectl -n shop get pvc');
  const volumeAfter = shell.capture("kubectl get pv -o custom-columns-file=columns | grep -E '^(CLAIM|orders) '");
  proveSame('size, class, reclaim policy and zone', withoutName(volumeBefore), withoutName(volumeAfter));

  shell.say(`A pod that may run only in zone ${zone} finds the same bytes, owners, modes and times.`);
  shell.run('kubectl apply -f reader.yaml');
  shell.run("kubectl -n shop wait --for=jsonpath='{.status.phase}'=Succeeded --timeout=120s pod/reader");
  shell.run("kubectl -n shop get pod reader -o jsonpath='{.spec.nodeName}'; echo");
  proveSame('every path, owner, mode, time and checksum', before, shell.quiet('kubectl -n shop logs reader --tail=-1'));

  shell.say('The format is restic’s: restic, which knows nothing of Holdfast, reads the same backup.');
  const repository = 'restic --no-cache --password-file password -r "$HOLDFAST_REPOSITORY"';
  shell.run(`${repository} snapshots --compact`);
  shell.run(`${repository} ls latest /shop/orders /shop/orders/volume | head -12`);
  shell.run(`${repository} check --read-data`);
  shell.run('kubectl delete namespace shop --timeout=180s');
  process.stdout.write(
    `\n${bold('Backed up, deleted with its namespace, restored: the same claim, the same zone, the same bytes.')}\n`,
  );
}

/** The name of a volume changes, nothing else does. */
function withoutName(table: string): string {
  return table
    .split('\n')
    .map((line) => line.split(/ +/).toSpliced(1, 1).join(' '))
    .join('\n');
}

function proveSame(what: string, before: string, after: string): void {
  if (before === '' || before !== after) throw new Error(`${what}: before\n${before}\nafter\n${after}`);
  process.stdout.write(`✓ the same as before: ${what}\n`);
}
