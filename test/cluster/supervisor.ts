/**
 * Keeps parts of a running cluster running, as a kubelet does with pods: one that ends, whatever ended it, is started
 * again as it was started. Side-cars end by themselves when their driver does.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterLayout } from './layout.ts';
import { findMembers, signal, startMember, waitUntil } from './members.ts';

export interface Supervisor {
  /** SIGKILL. */
  kill(role: string): Promise<void>;
  /** Waits until all are there, and looks after them no longer. */
  stop(): Promise<void>;
}

interface Kept {
  readonly role: string;
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
}

const LOOK_EVERY_MS = 500;

/** Looks after those that run now and whose role matches. Each is away for `awayMs` once it has ended. */
export async function supervise(layout: ClusterLayout, roles: RegExp, awayMs: number): Promise<Supervisor> {
  const running = (await findMembers(layout)).filter(({ role }) => roles.test(role));
  const kept = await Promise.all(running.map(({ pid, role }) => rememberProcess(pid, role)));
  const goneSinceMs = new Map<string, number>();
  let ended = false;
  const missing = async () => {
    const there = new Set((await findMembers(layout)).map(({ role }) => role));
    return kept.filter(({ role }) => !there.has(role));
  };
  const look = async () => {
    const gone = await missing();
    for (const role of goneSinceMs.keys()) if (!gone.some((one) => one.role === role)) goneSinceMs.delete(role);
    for (const { role, command, env } of gone) {
      const sinceMs = goneSinceMs.get(role) ?? Date.now();
      goneSinceMs.set(role, sinceMs);
      if (Date.now() - sinceMs >= awayMs) await startMember(layout, role, command, env);
    }
  };
  const watching = (async () => {
    for (; !ended; await sleep(LOOK_EVERY_MS)) await look();
  })();
  return {
    kill: async (role) => {
      const found = (await findMembers(layout)).filter((one) => one.role === role);
      if (found.length !== 1) throw new Error(`${found.length} processes are ${role}, not one`);
      for (const { pid } of found) signal(pid, 'SIGKILL');
    },
    stop: async () => {
      await waitUntil('the killed parts to be back', async () => (await missing()).length === 0);
      ended = true;
      await watching;
    },
  };
}

async function rememberProcess(pid: number, role: string): Promise<Kept> {
  const [file = '', ...args] = await wordsOf(`/proc/${pid}/cmdline`);
  const env = Object.fromEntries((await wordsOf(`/proc/${pid}/environ`)).map(splitPair));
  return { role, command: [file, ...args], env };
}

async function wordsOf(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8');
  return text.split('\0').slice(0, -1);
}

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=');
  return [pair.slice(0, at), pair.slice(at + 1)];
}
