/** The program that holds an application, in real shells: the after-command comes whoever is left to ask for it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { heldProgram, RELEASE } from '../../src/backup/hook-shell.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-hook-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const shells = ['/bin/sh', '/bin/bash', '/usr/bin/busybox'].filter(existsSync);
let marks = 0;

interface Held {
  readonly child: ChildProcess;
  readonly mark: () => string;
  readonly said: () => string;
  readonly end: Promise<number | null>;
}

function hold(shell: string, before: readonly string[], limits: { limitSeconds: number; holdSeconds: number }): Held {
  const file = join(folder, `mark-${marks++}`);
  const after = ['sh', '-c', `echo "it's done" >> "$1"; echo noise; exit 4`, 'sh', file];
  const args = ['-c', heldProgram({ before, after, ...limits })];
  const child = spawn(shell, shell.endsWith('busybox') ? ['sh', ...args] : args, { stdio: 'pipe' });
  let said = '';
  child.stdout.on('data', (piece) => {
    said += piece;
  });
  child.stdin.on('error', () => undefined);
  const end = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, end, said: () => said, mark: () => (existsSync(file) ? readFileSync(file, 'utf8') : '') };
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo() && tries < 500; tries++) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(isSo()).toBe(true);
}

const patient = { limitSeconds: 60, holdSeconds: 60 };

test.concurrent.each(shells)(
  '%s runs the after-command when it is told, once, and says how both ended',
  async (shell) => {
    const held = hold(shell, ['sh', '-c', 'echo noise; exit 3'], patient);
    await until(() => held.said().includes('before'));
    expect(held.mark()).toBe('');
    held.child.stdin?.write(RELEASE);
    expect(await held.end).toBe(0);
    expect(held.said()).toBe('before 3\nafter 4\n');
    expect(held.mark()).toBe("it's done\n");
  },
);

test.concurrent.each(shells)('%s runs the after-command at once when the connection ends', async (shell) => {
  const held = hold(shell, ['true'], patient);
  await until(() => held.said().includes('before'));
  held.child.stdout?.destroy();
  held.child.stdin?.destroy();
  expect(await held.end).toBe(0);
  expect(held.mark()).toBe("it's done\n");
});

test.concurrent.each(shells)('%s runs the after-command at its deadline though nobody hangs up', async (shell) => {
  const held = hold(shell, ['true'], { limitSeconds: 60, holdSeconds: 1 });
  await until(() => held.mark() !== '');
  held.child.stdin?.write(RELEASE);
  expect(await held.end).toBe(0);
  expect(held.said()).toBe('before 0\nafter expired\n');
  expect(held.mark()).toBe("it's done\n");
});

test.concurrent.each(shells)(
  '%s leaves a timer that runs the after-command when it is killed itself',
  async (shell) => {
    const held = hold(shell, ['true'], { limitSeconds: 60, holdSeconds: 1 });
    await until(() => held.said().includes('before'));
    held.child.kill('SIGKILL');
    await held.end;
    await until(() => held.mark() !== '');
    expect(held.mark()).toBe("it's done\n");
  },
);

test.concurrent.each(shells)('%s ends a before-command that hangs, and still runs the after-command', async (shell) => {
  const held = hold(shell, ['sleep', '1000'], { limitSeconds: 1, holdSeconds: 60 });
  await until(() => held.said().includes('before'));
  held.child.stdin?.write(RELEASE);
  expect(await held.end).toBe(0);
  expect(held.said()).toBe('before late\nafter 4\n');
});
