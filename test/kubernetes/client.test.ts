import { afterEach, expect, test } from 'vitest';
import { clusterAt } from '../../src/cluster/client.ts';
import { valueAt } from '../../src/cluster/object.ts';
import { CLAIM, NODE, POD, SNAPSHOT_CONTENT } from '../../src/cluster/resources.ts';
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

async function serve(answer: (request: Received, count: number) => Reply): Promise<ScriptedServer> {
  server = await startScriptedServer(answer);
  return server;
}

/** The replies one after the other, the last one for ever. */
function inTurn(...replies: Reply[]): (request: Received, count: number) => Reply {
  return (_, count) => replies[Math.min(count, replies.length) - 1] ?? hangUp;
}

const claim = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data', namespace: 'shop', uid: 'u1' },
};
const found = json(200, claim);

test('a call is repeated while the server is throttled, restarting or cuts the connection', async () => {
  const replies = [refuse(429, 'TooManyRequests', 'slow down'), refuse(503, 'ServiceUnavailable', ''), hangUp, found];
  const { cluster, received } = await serve(inTurn(...replies));
  expect(await cluster.get(CLAIM, 'shop', 'data')).toEqual(claim);
  expect(received).toHaveLength(4);
});

test('a pause is at least as long as the server asks for', async () => {
  const { cluster, pauses } = await serve(inTurn(refuse(429, 'TooManyRequests', '', { 'retry-after': '7' }), found));
  await cluster.get(CLAIM, 'shop', 'data');
  expect(pauses).toEqual([7000]);
});

test('a server that stays broken is reported with its status after some tries', async () => {
  const { cluster, received } = await serve(inTurn(refuse(500, 'InternalError', 'etcd leader changed')));
  await expect(cluster.get(CLAIM, 'shop', 'data')).rejects.toMatchObject({
    code: 'CLUSTER_FAILED',
    context: { status: 500, reason: 'etcd leader changed' },
    retryable: true,
  });
  expect(received.length).toBeGreaterThan(3);
});

test('a server that is not there is unreachable, and the message says where', async () => {
  const { cluster, stop } = await serve(inTurn(found));
  await stop();
  await expect(cluster.get(CLAIM, 'shop', 'data')).rejects.toMatchObject({
    code: 'CLUSTER_UNREACHABLE',
    message: expect.stringContaining(cluster.server),
  });
});

test('an object that is not there, and a kind that the cluster does not know, are no errors to a reader', async () => {
  const { cluster } = await serve(inTurn(refuse(404, 'NotFound', 'not found')));
  expect(await cluster.get(CLAIM, 'shop', 'data')).toBeUndefined();
  expect(await cluster.list(SNAPSHOT_CONTENT)).toEqual([]);
  await cluster.remove({ resource: CLAIM, namespace: 'shop', name: 'data' });
});

test('missing rights, quotas and lost logins are told apart', async () => {
  const rbac = 'pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "shop"';
  const quota = 'exceeded quota: compute, requested: pods=1, used: pods=5, limited: pods=5';
  const { cluster } = await serve(
    inTurn(
      refuse(403, 'Forbidden', rbac),
      refuse(403, 'Forbidden', quota),
      refuse(401, 'Unauthorized', 'Unauthorized'),
    ),
  );
  const list = () => cluster.list(POD, { namespace: 'shop' });
  await expect(list()).rejects.toMatchObject({ code: 'CLUSTER_DENIED', context: { verb: 'list', resource: 'pods' } });
  await expect(list()).rejects.toMatchObject({ code: 'CLUSTER_REFUSED', message: expect.stringContaining(quota) });
  await expect(list()).rejects.toMatchObject({
    code: 'CLUSTER_DENIED',
    message: expect.stringContaining('not logged in'),
  });
});

test('creating again what an earlier try created is a success, but not what somebody else made', async () => {
  const labels = { run: '1' };
  const mine = { ...claim, metadata: { ...claim.metadata, labels: { ...labels, more: 'x' } } };
  const exists = refuse(409, 'AlreadyExists', 'persistentvolumeclaims "data" already exists');
  const { cluster } = await serve(inTurn(hangUp, exists, json(200, mine), exists, found));
  const wanted = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', namespace: 'shop', labels },
  };
  expect(await cluster.create(wanted)).toEqual(mine);
  await expect(cluster.create(wanted)).rejects.toMatchObject({ code: 'CLUSTER_FAILED', context: { status: 409 } });
});

test('a merge patch is repeated after a cut connection, a JSON patch with its tests is not', async () => {
  const { cluster, received } = await serve(inTurn(hangUp, found, hangUp, found));
  const ref = { resource: CLAIM, namespace: 'shop', name: 'data' };
  await cluster.patch(ref, { merge: { spec: null } });
  expect(received.map(({ contentType }) => contentType)).toEqual(Array(2).fill('application/merge-patch+json'));
  const steps = [{ op: 'test', path: '/metadata/uid', value: 'u1' }] as const;
  await expect(cluster.patch(ref, { json: steps })).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE' });
  expect(received).toHaveLength(3);
  expect(received[2]).toMatchObject({ contentType: 'application/json-patch+json', body: JSON.stringify(steps) });
});

test('a deletion names the UID, and an object that was replaced meanwhile counts as gone', async () => {
  const conflict = refuse(409, 'Conflict', 'the UID in the precondition (u1) does not match the UID in record (u2)');
  const { cluster, received } = await serve(inTurn(conflict));
  await cluster.remove({ resource: CLAIM, namespace: 'shop', name: 'data' }, { uid: 'u1', propagation: 'Foreground' });
  expect(JSON.parse(received[0]?.body ?? '')).toMatchObject({
    preconditions: { uid: 'u1' },
    propagationPolicy: 'Foreground',
  });
});

test('a long list comes page by page, begins again when it went stale, and its items know their kind', async () => {
  const page = (names: string[], next?: string) =>
    json(200, {
      metadata: { resourceVersion: '5', ...(next === undefined ? {} : { continue: next }) },
      items: names.map((name) => ({ metadata: { name, uid: name } })),
    });
  const replies = [page(['a', 'b'], 'n1'), refuse(410, 'Expired', 'too old'), page(['a', 'b'], 'n2'), page(['c'])];
  const { cluster, received } = await serve(inTurn(...replies));
  const nodes = await cluster.list(NODE);
  expect(nodes.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual(['Node a', 'Node b', 'Node c']);
  expect(received.map(({ url }) => url.searchParams.get('continue'))).toEqual([null, 'n1', null, 'n2']);
});

test('numbers that no double holds come back digit by digit', async () => {
  const text =
    '{"apiVersion":"v1","kind":"X","metadata":{"name":"c"},"status":{"creationTime":1789012345678901234,"size":5}}';
  const { cluster } = await serve(inTurn(json(200, text)));
  const content = await cluster.get(SNAPSHOT_CONTENT, undefined, 'c');
  expect(JSON.stringify(content)).toBe(text);
  expect(valueAt(content, 'status', 'size')).toBe(5);
});

test('a cancelled call ends with the reason of its signal, without any further try', async () => {
  const stop = new AbortController();
  const { cluster, received } = await serve(() => () => stop.abort(new Error('enough')));
  await expect(cluster.get(CLAIM, 'shop', 'data', stop.signal)).rejects.toThrow('enough');
  expect(received).toHaveLength(1);
});

test('a host that does not exist is unreachable at once', async () => {
  const cluster = clusterAt({ server: 'http://no-such-host.invalid', options: async () => ({}) });
  await expect(cluster.get(CLAIM, 'shop', 'data')).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE' });
});
