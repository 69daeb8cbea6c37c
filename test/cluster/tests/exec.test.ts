/** Commands in containers: what they write arrives whole and at the reader's pace, and no end without a status is one. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import type { Cluster } from '../../../src/cluster/client.ts';
import { connect } from '../../../src/cluster/connect.ts';
import type { ExecOptions } from '../../../src/cluster/exec.ts';
import { createNamespace, isReady, type Kubectl } from '../kubectl.ts';
import { openFrontedCluster } from './fronted-cluster.ts';

const state = inject('cluster');
let cluster: Cluster;
let kubectl: Kubectl;
let namespace: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  cluster = await connect({ kubeconfig: state.kubeconfig });
  ({ kubectl, namespace, remove } = await createNamespace(state, 'exec'));
  const container = { name: 'main', image: state.busyboxImage, command: ['sleep', '100000'] };
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'worker' },
    spec: { terminationGracePeriodSeconds: 0, containers: [{ ...container, imagePullPolicy: 'IfNotPresent' }] },
  });
  await kubectl.waitFor('pod', 'worker', isReady);
});

afterAll(async () => {
  cluster.close();
  await remove();
});

function run(command: readonly string[], options: Partial<ExecOptions> = {}, through = cluster) {
  return through.exec({ namespace, pod: 'worker', container: 'main', command }, { timeoutMs: 60_000, ...options });
}

test('the exit code is that of the command, and its errors are told', async () => {
  const codes = [0, 1, 7, 125, 255].map((code) => run(['sh', '-c', `echo said ${code} >&2; exit ${code}`]));
  expect(await Promise.all(codes)).toEqual(
    [0, 1, 7, 125, 255].map((exitCode) => ({ exitCode, stderr: `said ${exitCode}\n`, stdoutBytes: 0 })),
  );
  expect(await run(['sh', '-c', 'kill -9 $$'])).toMatchObject({ exitCode: 137 });
});

test('what is not there is refused and never looks like a command that failed', async () => {
  await expect(run(['no-such-program'])).rejects.toMatchObject({
    code: 'EXEC_FAILED',
    message: expect.stringContaining('executable file not found'),
  });
  const target = { namespace, pod: 'worker', container: 'main', command: ['true'] };
  const refused = [
    cluster.exec({ ...target, container: 'other' }, { timeoutMs: 10_000 }),
    cluster.exec({ ...target, pod: 'nobody' }, { timeoutMs: 10_000 }),
  ];
  const outcomes = await Promise.allSettled(refused);
  expect(outcomes.map((one) => one.status === 'rejected' && one.reason.code)).toEqual([
    'CLUSTER_REFUSED',
    'CLUSTER_FAILED',
  ]);
});

test('every byte arrives in its order, and the end of the input is told', async () => {
  const content = createHash('sha512').update('seed').digest();
  const pieces = Array.from({ length: 3000 }, (_, index) => Buffer.concat([content, Buffer.from(`${index}`)]));
  const sent = createHash('sha256');
  const came = createHash('sha256');
  async function* input() {
    for (const piece of pieces) {
      sent.update(piece);
      yield piece;
    }
  }
  const onStdout = (piece: Buffer) => void came.update(piece);
  expect(await run(['cat'], { stdin: input(), onStdout })).toMatchObject({ exitCode: 0 });
  expect(came.digest('hex')).toBe(sent.digest('hex'));
});

test('a reader that takes his time holds up the command instead of filling the memory (R9.2)', async () => {
  const megabytes = 80;
  const script = `i=0; while [ $i -lt ${megabytes} ]; do head -c 1000000 /dev/zero; i=$((i+1)); echo $i > /tmp/at; done`;
  let at = 0;
  let heldBytes = 0;
  const before = process.memoryUsage().rss;
  const result = await run(['sh', '-c', script], {
    onStdout: async () => {
      if (at > 0) return;
      at = -1;
      await sleep(3_000);
      at = Number(await kubectl.exec('worker', 'cat /tmp/at'));
      heldBytes = process.memoryUsage().rss - before;
    },
  });
  expect(result).toEqual({ exitCode: 0, stderr: '', stdoutBytes: megabytes * 1_000_000 });
  // What it could write went into the buffers of the connections on the way.
  expect(at).toBeLessThan(megabytes / 2);
  expect(heldBytes).toBeLessThan(64 << 20);
});

test('what a command wrote before it ended is all there, however late it is read (R9.8)', async () => {
  let held = false;
  const onStdout = async () => {
    // Longer than both sides wait between two signs of life.
    if (!held) await sleep(11_000);
    held = true;
  };
  const small = await run(['head', '-c', '3000000', '/dev/zero'], { onStdout });
  expect(small).toEqual({ exitCode: 0, stderr: '', stdoutBytes: 3_000_000 });
});

test('a connection that is cut is an error, even when the command is done by then (R9.4)', async () => {
  const { cluster: fronted, front, close } = await openFrontedCluster(state);
  onTestFinished(close);
  front.fail({ kind: 'cut', from: 'server', afterBytes: 1_000_000 });
  const cut = run(['head', '-c', '3000000', '/dev/zero'], {}, fronted);
  await expect(cut).rejects.toMatchObject({ code: 'EXEC_CUT' });
  front.heal();
  expect(await run(['true'], {}, fronted)).toMatchObject({ exitCode: 0 });
  const silent = run(['sleep', '60'], {}, fronted);
  setTimeout(() => front.closeAll(), 1_000);
  await expect(silent).rejects.toMatchObject({ code: 'EXEC_CUT' });
});

test('a deadline, a signal and a reader that fails end the call at once', async () => {
  const startMs = Date.now();
  const broken = new Error('the disk is full');
  const outcomes = await Promise.allSettled([
    run(['sleep', '30'], { timeoutMs: 1_000 }),
    run(['sleep', '30'], { signal: AbortSignal.timeout(1_000) }),
    run(['yes'], { onStdout: () => Promise.reject(broken) }),
  ]);
  expect(outcomes.map((one) => one.status === 'rejected' && [one.reason.code, one.reason.name])).toEqual([
    ['EXEC_TIMEOUT', 'HoldfastError'],
    [DOMException.TIMEOUT_ERR, 'TimeoutError'],
    [undefined, 'Error'],
  ]);
  expect(outcomes[2]).toMatchObject({ reason: broken });
  expect(Date.now() - startMs).toBeLessThan(10_000);
});
