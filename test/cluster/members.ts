/**
 * The long-running processes of a cluster. Each carries its cluster and its role in its environment: a clean-up finds
 * exactly these by reading /proc, also after a crash, without process ids that may have been given to others since.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterLayout } from './layout.ts';

const marker = 'HOLDFAST_TEST_CLUSTER_MEMBER';

export interface Member {
  readonly role: string;
  readonly logFile: string;
  readonly child: ChildProcess;
}

export interface FoundMember {
  readonly pid: number;
  readonly role: string;
}

/** Starts a process that outlives this one; its output goes to `log/<role>.log`. */
export async function startMember(
  layout: ClusterLayout,
  role: string,
  command: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
): Promise<Member> {
  await mkdir(layout.logs, { recursive: true });
  const logFile = join(layout.logs, `${role}.log`);
  const log = openSync(logFile, 'a');
  const [file, ...args] = command;
  const child = spawn(file, args, {
    cwd: layout.stateFolder,
    detached: true,
    stdio: ['ignore', log, log],
    env: { PATH: process.env.PATH, HOME: '/root', ...env, [marker]: `${layout.stateFolder} ${role}` },
  });
  closeSync(log);
  child.unref();
  return { role, logFile, child };
}

/** A command line that runs in the network of a node. Not `ip netns exec`: it would hide cgroups and mounts. */
export function inNetworkOf(namespace: string, command: readonly string[]): [string, ...string[]] {
  return ['nsenter', `--net=/run/netns/${namespace}`, ...command];
}

/** Polls until the condition holds. Fails at once when a process it depends on has ended, with the tail of its log. */
export async function waitUntil(
  what: string,
  condition: () => Promise<boolean>,
  { members = [], timeoutMs = 60_000 }: { members?: readonly Member[]; timeoutMs?: number } = {},
): Promise<void> {
  const startMs = Date.now();
  for (;;) {
    if (await condition().catch(() => false)) break;
    const ended = members.find(({ child }) => child.exitCode !== null || child.signalCode !== null);
    if (ended) throw new Error(`${ended.role} has ended while waiting for ${what}\n${await tailOf([ended])}`);
    if (Date.now() - startMs > timeoutMs) {
      throw new Error(`waited ${timeoutMs / 1000} s in vain for ${what}\n${await tailOf(members)}`);
    }
    await sleep(100);
  }
}

async function tailOf(members: readonly Member[]): Promise<string> {
  const tails = members.map(async ({ role, logFile }) => {
    const text = await readFile(logFile, 'utf8').catch(() => '');
    return `--- ${role} (${logFile})\n${text.trimEnd().split('\n').slice(-15).join('\n')}`;
  });
  return (await Promise.all(tails)).join('\n');
}

/** All living processes of the cluster, whoever started them. Shims of containerd carry the role of their containerd. */
export async function findMembers(layout: ClusterLayout): Promise<FoundMember[]> {
  const prefix = `${marker}=${layout.stateFolder} `;
  const found: FoundMember[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    // Unreadable when the process has just ended.
    const environment = await readFile(`/proc/${name}/environ`, 'utf8').catch(() => '');
    const entry = environment.split('\0').find((line) => line.startsWith(prefix));
    if (entry) found.push({ pid: Number(name), role: entry.slice(prefix.length) });
  }
  return found;
}

/** Ends the processes whose role matches: asks, and after `patienceMs` insists. Returns when they are gone. */
export async function stopMembers(layout: ClusterLayout, role: RegExp, patienceMs = 10_000): Promise<void> {
  const startMs = Date.now();
  const asked = new Set<number>();
  for (;;) {
    const living = (await findMembers(layout)).filter((member) => role.test(member.role));
    if (living.length === 0) return;
    const waitedMs = Date.now() - startMs;
    if (waitedMs > patienceMs + 10_000) {
      throw new Error(`cannot end ${living.map((member) => `${member.role} (${member.pid})`).join(', ')}`);
    }
    for (const { pid } of living) {
      if (waitedMs > patienceMs) signal(pid, 'SIGKILL');
      else if (!asked.has(pid)) signal(pid, 'SIGTERM');
      asked.add(pid);
    }
    await sleep(100);
  }
}

/** A process that is gone already is what was wanted. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
