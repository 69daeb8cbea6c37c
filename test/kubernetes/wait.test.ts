import type { ServerResponse } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { type KubeObject, textAt } from '../../src/cluster/object.ts';
import { POD } from '../../src/cluster/resources.ts';
import {
  hangUp,
  json,
  type Received,
  type Reply,
  refuse,
  type ScriptedServer,
  startScriptedServer,
} from './scripted-server.ts';

let server: ScriptedServer | undefined;

afterEach(async () => {
  await server?.stop();
});

const ref = { resource: POD, namespace: 'shop', name: 'p' };

function pod(phase: string) {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'shop', uid: 'u1' }, status: { phase } };
}

function list(...items: object[]): Reply {
  return json(200, { metadata: { resourceVersion: '7' }, items });
}

type WatchScript = (response: ServerResponse) => void;

/** A watch that says these lines and then does what `end` says; default: stays open. */
function watch(lines: readonly (object | string)[], end: WatchScript = () => {}): Reply {
  return (response) => {
    response.writeHead(200);
    response.flushHeaders();
    for (const line of lines) response.write(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
    end(response);
  };
}

/** Lists and watches take their replies from one script each; the last one of each stays. */
async function serve(lists: Reply[], watches: Reply[]): Promise<ScriptedServer> {
  const counts = { list: 0, watch: 0 };
  server = await startScriptedServer(({ url }: Received) => {
    const kind = url.searchParams.has('watch') ? 'watch' : 'list';
    const replies = kind === 'watch' ? watches : lists;
    counts[kind] += 1;
    return replies[Math.min(counts[kind], replies.length) - 1] ?? hangUp;
  });
  return server;
}

const isRunning = (object: KubeObject | undefined) =>
  textAt(object, 'status', 'phase') === 'Running' ? object : undefined;
const options = { timeoutMs: 20_000, what: 'the pod' };

test('what is there already needs no watch', async () => {
  const { cluster, received } = await serve([list(pod('Running'))], [hangUp]);
  expect(await cluster.waitFor(ref, isRunning, options)).toMatchObject({ status: { phase: 'Running' } });
  expect(received).toHaveLength(1);
  expect(received[0]?.url.searchParams.get('fieldSelector')).toBe('metadata.name=p');
});

test('a change is seen by the watch, which goes on from the list and asks for bookmarks', async () => {
  const lines = [
    { type: 'BOOKMARK', object: { kind: 'Pod', metadata: { resourceVersion: '9' } } },
    { type: 'MODIFIED', object: pod('Running') },
  ];
  const { cluster, received } = await serve([list(pod('Pending'))], [watch(lines)]);
  await cluster.waitFor(ref, isRunning, options);
  const query = received[1]?.url.searchParams;
  expect([query?.get('resourceVersion'), query?.get('allowWatchBookmarks')]).toEqual(['7', 'true']);
});

test('an object that goes is seen as gone', async () => {
  const { cluster } = await serve([list(pod('Running'))], [watch([{ type: 'DELETED', object: pod('Running') }])]);
  expect(await cluster.waitFor(ref, (object) => (object === undefined ? 'gone' : undefined), options)).toBe('gone');
});

test.each([
  ['is cut', watch([], (response) => response.destroy())],
  ['ends', watch([], (response) => response.end())],
  ['went stale', watch([{ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } }])],
  ['says what is no JSON', watch(['{"type":"MODI'], (response) => response.end())],
  ['is denied', refuse(403, 'Forbidden', 'User "x" cannot watch resource "pods"')],
  ['breaks off before its answer', hangUp],
])('nothing is missed when the watch %s: the list is asked again', async (_, broken) => {
  const { cluster } = await serve([list(pod('Pending')), list(pod('Pending')), list(pod('Running'))], [broken]);
  expect(await cluster.waitFor(ref, isRunning, options)).toMatchObject({ status: { phase: 'Running' } });
});

test('a watch that hangs is not trusted for longer than a turn', async () => {
  const { cluster } = await serve([list(pod('Pending')), list(pod('Running'))], [watch([])]);
  const startedMs = Date.now();
  await cluster.waitFor(ref, isRunning, { ...options, turnMs: 300 });
  expect(Date.now() - startedMs).toBeLessThan(5_000);
});

test('at the deadline the error says what was waited for and what was seen last', async () => {
  const { cluster } = await serve([list(pod('Pending'))], [watch([])]);
  const waiting = cluster.waitFor(ref, isRunning, { timeoutMs: 400, what: 'the pod', last: () => 'it is Pending' });
  await expect(waiting).rejects.toMatchObject({
    code: 'WAIT_TIMEOUT',
    message: expect.stringMatching(/the pod; last seen: it is Pending/),
  });
});

test('a cancelled wait ends with the reason of its signal', async () => {
  const stop = new AbortController();
  const { cluster } = await serve([list(pod('Pending'))], [watch([], () => stop.abort(new Error('enough')))]);
  await expect(cluster.waitFor(ref, isRunning, { ...options, signal: stop.signal })).rejects.toThrow('enough');
});

test('what the probe throws ends the wait', async () => {
  const { cluster } = await serve([list(pod('Pending'))], [watch([{ type: 'DELETED', object: pod('Pending') }])]);
  const probe = (object: KubeObject | undefined) => {
    if (object === undefined) throw new Error('it was removed');
    return undefined;
  };
  await expect(cluster.waitFor(ref, probe, options)).rejects.toThrow('it was removed');
});

test('a wait over a selection sees objects come and go', async () => {
  const other = { ...pod('Running'), metadata: { name: 'q', namespace: 'shop', uid: 'u2' } };
  const lines = [
    { type: 'ADDED', object: other },
    { type: 'DELETED', object: pod('Pending') },
  ];
  const { cluster } = await serve([list(pod('Pending'))], [watch(lines)]);
  const seen: string[][] = [];
  const names = await cluster.waitForList(
    POD,
    { namespace: 'shop', labelSelector: 'a=b' },
    (pods) => {
      const current = pods.map(({ metadata }) => metadata.name);
      seen.push(current);
      return current.join() === 'q' ? current : undefined;
    },
    options,
  );
  expect(names).toEqual(['q']);
  expect(seen).toEqual([['p'], ['p', 'q'], ['q']]);
});
