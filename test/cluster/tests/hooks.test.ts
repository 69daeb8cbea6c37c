/** Hooks around the cuts of real claims: held applications, failures, killed runs, workloads at zero. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backupClaim } from '../../../src/backup/backup-claim.ts';
import { gatherFacts } from '../../../src/backup/gather-facts.ts';
import { groupByHooks } from '../../../src/backup/hook-groups.ts';
import { withHooks } from '../../../src/backup/hooks.ts';
import { type PlannedHook, planHooks } from '../../../src/backup/hooks-plan.ts';
import { planBackup } from '../../../src/backup/plan.ts';
import type { ClaimBackupRun } from '../../../src/backup/run.ts';
import { defaultLimits, runClaims } from '../../../src/backup/run-claims.ts';
import { putBackLeftAtZero } from '../../../src/backup/scale-hook.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { HoldfastError } from '../../../src/base/errors.ts';
import { ALIVE, REPLICAS_BEFORE, RUN } from '../../../src/cluster/labels.ts';
import { valueAt } from '../../../src/cluster/object.ts';
import { JOB, type Resource, STATEFUL_SET } from '../../../src/cluster/resources.ts';
import type { HookRule } from '../../../src/policy/hooks-schema.ts';
import type { BackupPolicy } from '../../../src/policy/schema.ts';
import { isReady } from '../kubectl.ts';
import { type BackupScene, leftovers, makeClaim, openBackupScene, runFor } from './backup-scene.ts';
import { statefulSetOf } from './stateful-set.ts';

let scene: BackupScene;
let folder: string;

beforeAll(async () => {
  scene = await openBackupScene();
  folder = await mkdtemp(join(tmpdir(), 'holdfast-hooks-'));
  const labelled = (name: string) =>
    makeClaim(scene, name, { script: 'echo 1 > /data/file; sync' }).then(() =>
      scene.kubectl.run('label', 'pod', name, `app=${name}`),
    );
  await Promise.all([
    makeDatabase(),
    ...['troubled', 'killed'].map(labelled),
    scene.kubectl.apply(statefulSetOf(scene.state, scene.namespace, 2, 'echo shut > /data/file; sync')),
  ]);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await scene.close();
});

const sh = (script: string) => ['sh', '-c', script];

function hooked(...hooks: readonly HookRule[]): Partial<ClaimBackupRun> {
  const rules: BackupPolicy = {
    apiVersion: 'holdfast.dev/v1alpha1',
    kind: 'BackupPolicy',
    metadata: { name: 'hooked', namespace: scene.namespace },
    spec: { select: { claims: {} }, repository: { name: 'main' }, hooks: [...hooks] },
  };
  return { rules };
}

/** Writes rows into SQLite in WAL mode; a row is acknowledged by its number in /ack, after its commit. */
const writer = `
  const { DatabaseSync } = require('node:sqlite');
  const fs = require('node:fs');
  const db = new DatabaseSync('/data/app.db');
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT)');
  const insert = db.prepare('INSERT INTO t (word) VALUES (?)');
  const write = () => {
    const { lastInsertRowid } = insert.run('x'.repeat(500));
    fs.writeFileSync('/ack/new', String(lastInsertRowid));
    fs.renameSync('/ack/new', '/ack/last');
    setTimeout(write, 5);
  };
  write();`;

async function makeDatabase(): Promise<void> {
  const { kubectl, state } = scene;
  const claimSpec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '200Mi' } } };
  const container = {
    name: 'db',
    image: state.holdfastImage,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '-e', writer],
    securityContext: { runAsUser: 0 },
    readinessProbe: { exec: { command: ['test', '-e', '/ack/last'] }, periodSeconds: 1 },
    volumeMounts: [
      { name: 'data', mountPath: '/data' },
      { name: 'ack', mountPath: '/ack' },
    ],
  };
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'sqlite', labels: { app: 'sqlite' } },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      containers: [container],
      volumes: [
        { name: 'data', persistentVolumeClaim: { claimName: 'sqlite' } },
        { name: 'ack', emptyDir: {} },
      ],
    },
  };
  const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'sqlite' }, spec: claimSpec };
  await kubectl.apply(claim, pod);
  await kubectl.waitFor('pod', 'sqlite', isReady, 120_000);
}

/** The volume's files, as the real restic restores them. */
async function restored(claim: string, backupId: string): Promise<string> {
  const target = join(folder, backupId);
  await scene.restic('restore', backupId, '--target', target);
  return join(target, scene.namespace, claim, 'volume');
}

test.concurrent('a database under writes comes back with every row that it had acknowledged when its hook began', async () => {
  const hook: HookRule = {
    pods: { matchLabels: { app: 'sqlite' } },
    before: sh('cp /ack/last /data/acknowledged && echo before >> /data/marks'),
    after: sh('echo after >> /data/marks'),
  };
  const events: string[] = [];
  const onEvent: ClaimBackupRun['onEvent'] = ({ phase }) => events.push(phase);
  const result = await backupClaim(scene.cluster, runFor(scene, 'sqlite', { ...hooked(hook), onEvent }));
  expect(result).toMatchObject({ state: 'complete', consistency: 'application', warnings: [] });
  const target = `container db of pod ${scene.namespace}/sqlite`;
  expect(result.hooks).toMatchObject([
    { hook: 1, target, before: { ok: true, exitCode: 0 }, after: { ok: true }, held: true },
  ]);
  expect(events.join(' ')).toMatch(/hook snapshot hook/);
  const live = Number(await scene.kubectl.run('exec', 'sqlite', '--', 'cat', '/ack/last'));
  expect(await scene.kubectl.run('exec', 'sqlite', '--', 'cat', '/data/marks')).toBe('before\nafter\n');

  const volume = await restored('sqlite', result.backupId);
  const read = (name: string) => readFile(join(volume, name), 'utf8');
  expect(await read('marks')).toBe('before\n');
  expect(JSON.parse(await read('../manifest.json'))).toMatchObject({ consistency: 'application', hooks: [{ target }] });
  const acknowledged = Number(await read('acknowledged'));
  const db = new DatabaseSync(join(volume, 'app.db'));
  expect(db.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  const { rows, last } = db.prepare('SELECT count(*) AS rows, max(id) AS last FROM t').get() ?? {};
  db.close();
  expect(rows).toBe(last);
  expect(acknowledged).toBeGreaterThan(10);
  expect(Number(last)).toBeGreaterThanOrEqual(acknowledged);
  // It went on writing meanwhile.
  expect(live).toBeGreaterThan(Number(last));
});

test.concurrent('a hook that fails or hangs fails its claim or leaves a warning, as its policy says', async () => {
  const pods = { matchLabels: { app: 'troubled' } };
  const fails = {
    pods,
    before: sh('echo "no login with $1" >&2; exit 7'),
    after: sh('echo x >> /data/x'),
  };
  const before = [...fails.before, 'sh', 'PGPASSWORD=hush-hush hush-hush'];
  const failed = await backupClaim(scene.cluster, runFor(scene, 'troubled', hooked({ ...fails, before }))).catch(
    (error: unknown) => error,
  );
  expect(failed).toMatchObject({ code: 'HOOK_FAILED', context: { hook: 1 } });
  expect(String(failed)).toMatch(
    /before-command ended with exit code 7; it said: no login with PGPASSWORD=.redacted.( .redacted.)?\./,
  );
  expect(JSON.stringify(failed)).not.toMatch(/hush-hush/);
  // It may have done half of its work.
  expect(await scene.kubectl.run('exec', 'troubled', '--', 'cat', '/data/x')).toBe('x\n');

  const hangs: HookRule = {
    pods,
    before: ['sleep', '1000'],
    after: sh('echo y >> /data/x'),
    timeout: '2s',
    onError: 'Continue',
  };
  const noShell: HookRule = { pods, before: ['no-such-program'], onError: 'Continue' };
  const result = await backupClaim(
    scene.cluster,
    runFor(scene, 'troubled', hooked({ ...fails, onError: 'Continue' }, hangs, noShell)),
  );
  expect(result).toMatchObject({ state: 'complete', consistency: 'crash' });
  expect(result.warnings).toEqual([
    expect.stringMatching(/^hook 1 failed for container writer of pod .*exit code 7/),
    expect.stringMatching(/^hook 2 failed .*before-command did not end within 2.0s/),
    expect.stringMatching(/^hook 3 failed .*no-such-program/),
  ]);
  expect(result.hooks?.map(({ before }) => before?.ok)).toEqual([false, false, false]);
  // In the opposite order.
  expect(await scene.kubectl.run('exec', 'troubled', '--', 'cat', '/data/x')).toBe('x\ny\nx\n');
});

/** The hooks as a run would plan them. */
async function planned(claim: string, ...rules: readonly HookRule[]): Promise<readonly PlannedHook[]> {
  const facts = await gatherFacts(scene.cluster, {
    scope: { claims: [{ namespace: scene.namespace, name: claim }] },
    hooks: rules,
  });
  const [found] = facts.claims;
  if (found === undefined || facts.hooks === undefined) throw new Error('the claim is not there');
  const plan = planHooks({ claim: found, rules, facts: facts.hooks, isLive: false });
  if (plan instanceof HoldfastError) throw plan;
  return plan.hooks;
}

test.concurrent('an application is let go when the cut fails, the run is cancelled, or its time is over', async () => {
  const hook = (name: string, more: Partial<HookRule> = {}): HookRule => ({
    pods: { matchLabels: { app: 'killed' } },
    before: ['true'],
    after: sh(`echo ${name} >> /tmp/let-go`),
    ...more,
  });
  const around = async (rule: HookRule, cut: (stop: AbortController) => Promise<unknown>) => {
    const stop = new AbortController();
    const run = { run: 'r', clock: systemClock, signal: stop.signal, say: () => undefined, warn: () => undefined };
    const claims = [{ hooks: await planned('killed', rule) }];
    return withHooks(scene.cluster, { ...run, claims }, () => cut(stop)).catch((error: unknown) => error);
  };
  const cutFails = await around(hook('failed'), async () => Promise.reject(new Error('no cut')));
  expect(cutFails).toMatchObject({ message: 'no cut' });
  const cancelled = await around(hook('cancelled'), async (stop) => {
    stop.abort(new Error('enough'));
    stop.signal.throwIfAborted();
  });
  expect(cancelled).toMatchObject({ message: 'enough' });
  const late = await around(hook('late', { holdMax: '1s' }), () => systemClock.sleep(3_000));
  expect(late).toMatchObject({ code: 'HOOK_FAILED' });
  expect(String(late)).toMatch(/after-command ran by itself after 1.0s, before the cut was made/);
  const letGo = await scene.kubectl.run('exec', 'killed', '--', 'cat', '/tmp/let-go');
  expect(letGo).toBe('failed\ncancelled\nlate\n');
});

/** Backs up in a process of its own that dies at the event; the id of that run. */
async function killedAt(claim: string, words: string, more: Partial<ClaimBackupRun>): Promise<string> {
  const { finder, ...run } = runFor(scene, claim, more);
  const file = join(folder, `${run.run}.json`);
  await writeFile(file, JSON.stringify(run));
  const script = join(import.meta.dirname, 'backup-child.ts');
  const child = spawn(process.execPath, [script, file, scene.state.kubeconfig, words], { stdio: 'inherit' });
  const end = await new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  expect(end).toBe('SIGKILL');
  return run.run;
}

/** As if the run that marked the object had been silent for an hour. */
async function age(resource: Resource, name: string): Promise<void> {
  const annotations = { [ALIVE]: new Date(Date.now() - 3_600_000).toISOString() };
  await scene.cluster.patch({ resource, namespace: scene.namespace, name }, { merge: { metadata: { annotations } } });
}

test.concurrent('an application is let go when the run is killed between before and after, and the next run works', async () => {
  const hook: HookRule = {
    pods: { matchLabels: { app: 'killed' } },
    before: sh('echo before >> /data/marks'),
    after: sh('echo after >> /data/marks'),
  };
  const dead = await killedAt('killed', 'hook: 1: ', hooked(hook));
  const marks = () => scene.kubectl.run('exec', 'killed', '--', 'cat', '/data/marks');
  for (let tries = 0; (await marks()) !== 'before\nafter\n' && tries < 20; tries++) await systemClock.sleep(250);
  expect(await marks()).toBe('before\nafter\n');
  const jobs = await scene.cluster.list(JOB, { namespace: scene.namespace, labelSelector: `${RUN}=${dead}` });
  for (const job of jobs) await age(JOB, job.metadata.name);
  const result = await backupClaim(scene.cluster, runFor(scene, 'killed', hooked(hook)));
  expect(result).toMatchObject({ state: 'complete', consistency: 'application' });
  expect(await marks()).toBe('before\nafter\nbefore\nafter\n');
});

test.concurrent('a workload that a killed run left at zero gets its replicas back, and can be scaled for the next cut', async () => {
  const { cluster, namespace, kubectl } = scene;
  const claim = 'data-db-0';
  await kubectl.waitFor('pod', 'db-0', isReady, 120_000);
  const hook: HookRule = { scaleToZero: {} };
  const set = async () => {
    const found = await cluster.get(STATEFUL_SET, namespace, 'db');
    return { replicas: valueAt(found, 'spec', 'replicas'), journal: found?.metadata.annotations?.[REPLICAS_BEFORE] };
  };
  const dead = await killedAt(claim, 'hook: 1: ', hooked(hook));
  expect(await set()).toEqual({ replicas: 0, journal: '2' });
  const jobs = await cluster.list(JOB, { namespace, labelSelector: `${RUN}=${dead}` });
  for (const job of jobs) await age(JOB, job.metadata.name);
  await age(STATEFUL_SET, 'db');
  const events: string[] = [];
  const scope = { claims: [{ namespace, name: claim }] };
  await putBackLeftAtZero(cluster, scope, { onEvent: ({ message }) => events.push(message) });
  expect(events).toEqual([`has its 2 replicas again, which run ${dead} left at zero`]);
  expect(await set()).toEqual({ replicas: 2, journal: undefined });

  // Its two claims are cut while it is down once.
  const [common, names] = [runFor(scene, claim, hooked(hook)), ['data-db-0', 'data-db-1']];
  const facts = await gatherFacts(cluster, {
    scope: { claims: names.map((name) => ({ namespace, name })) },
    hooks: [hook],
  });
  const plan = groupByHooks(planBackup(facts, { policy: common.rules }));
  const said: string[] = [];
  const onEvent: ClaimBackupRun['onEvent'] = ({ phase, message }) => phase === 'hook' && said.push(message);
  const outcomes = await runClaims(cluster, plan, { limits: defaultLimits, common: { ...common, onEvent } });
  expect(said).toEqual([expect.stringMatching(/it is at zero/), expect.stringMatching(/its 2 replicas again/)]);
  expect(await set()).toEqual({ replicas: 2, journal: undefined });
  for (const [at, outcome] of outcomes.entries()) {
    if (!('result' in outcome)) throw outcome.error;
    const { result } = outcome;
    expect(result).toMatchObject({
      state: 'complete',
      consistency: 'application',
      warnings: [],
      group: { members: 2 },
    });
    expect(await readFile(join(await restored(names[at] ?? '', result.backupId), 'file'), 'utf8')).toBe('shut\n');
  }
  await kubectl.waitFor('pod', 'db-0', isReady, 60_000);
});

test('nothing is left of all this', async () => {
  expect(await leftovers(scene)).toEqual([]);
});
