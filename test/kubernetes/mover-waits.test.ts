/** A mover that gets nowhere is given up, one that gets on is not; and one in a queue is let go by the queue alone. */
import { afterEach, expect, test } from 'vitest';
import type { MoverPod } from '../../src/cluster/mover-pod.ts';
import { lastProgress, watchProgress } from '../../src/cluster/mover-progress.ts';
import { enqueue, waitForQueue } from '../../src/cluster/mover-queue.ts';
import type { KubeObject } from '../../src/cluster/object.ts';
import { json, type ScriptedServer, startScriptedServer } from './scripted-server.ts';

let server: ScriptedServer | undefined;

afterEach(async () => server?.stop());

const line = (level: string, files: number) => JSON.stringify({ level, time: `t${files}`, files, message: 'progress' });

test('progress is the last line that is no warning: a mover also says that it tries again and again', () => {
  expect(lastProgress('')).toBeUndefined();
  expect(lastProgress('not JSON\n')).toBeUndefined();
  expect(lastProgress(`${line('info', 1)}\n${line('info', 2)}\n${line('warn', 3)}\ncut off {`)).toBe(line('info', 2));
});

const mover = { namespace: 'shop', podName: 'm', worksFor: 'shop/data', stalledMs: 400 };

async function watched(logOf: (count: number) => string, forMs: number): Promise<AbortSignal> {
  server = await startScriptedServer((_, count) => (response) => response.end(logOf(count)));
  const watch = watchProgress(server.cluster, mover);
  const aborted = new Promise((resolve) => watch.signal.addEventListener('abort', resolve));
  await Promise.race([aborted, new Promise((resolve) => setTimeout(resolve, forMs))]);
  watch.stop();
  return watch.signal;
}

test('a mover that gets on is not stopped, however long it takes', async () => {
  const signal = await watched((count) => line('info', count), 1500);
  expect(signal.aborted).toBe(false);
});

test('a mover that only warns, or says nothing, is stopped when its time without progress is over', async () => {
  const signal = await watched((count) => `${line('info', 0)}\n${line('warn', count)}`, 10_000);
  expect(signal.reason).toMatchObject({ code: 'MOVER_FAILED', message: expect.stringContaining('no progress') });
});

const job = (suspend: boolean): KubeObject => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name: 'j', namespace: 'shop', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
  spec: { suspend },
});
const pod = { settings: { image: 'i', queueName: 'night' }, worksFor: 'shop/data' } as MoverPod;

test('a Job in a queue is given its label, and waits until the queue resumes it', async () => {
  server = await startScriptedServer(({ method, url }, count) =>
    method === 'PATCH'
      ? json(200, job(true))
      : url.searchParams.has('watch')
        ? (response) => response.end()
        : json(200, { metadata: { resourceVersion: '1' }, items: [job(count < 6)] }),
  );
  await enqueue(server.cluster, job(true), 'night');
  const [patch] = server.received;
  expect(JSON.parse(patch?.body ?? '')).toEqual({ metadata: { labels: { 'kueue.x-k8s.io/queue-name': 'night' } } });
  const states: string[] = [];
  await waitForQueue(server.cluster, job(true), pod, { onState: (state) => states.push(state) });
  expect(states).toEqual(['waits in the queue night']);
  expect(server.received.filter(({ method }) => method === 'PATCH')).toHaveLength(1);
});

test('a queue that lets nobody start is named as the reason', async () => {
  server = await startScriptedServer(({ url }) =>
    url.searchParams.has('watch')
      ? (response) => response.end()
      : json(200, { metadata: { resourceVersion: '1' }, items: [job(true)] }),
  );
  await expect(waitForQueue(server.cluster, job(true), pod, { queuedMs: 50 })).rejects.toMatchObject({
    code: 'MOVER_FAILED',
    message: expect.stringContaining('the queue night'),
  });
});
