/** `holdfast restore` as a process of its own, as a user runs it. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Scene } from './restore-scene.ts';

export interface Ended {
  /** Null when it was killed. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `holdfast restore ARGS`; `onNote` is told of all that it has said so far, and may return `kill`. */
export function runRestore(
  scene: Scene,
  args: readonly string[],
  onNote: (said: string) => 'kill' | undefined = () => undefined,
): Promise<Ended> {
  const command = join(import.meta.dirname, '../../../cmd/holdfast.js');
  const env = {
    ...process.env,
    ...scene.credentials,
    RESTIC_REPOSITORY: scene.url,
    KUBECONFIG: scene.state.kubeconfig,
    HOLDFAST_MOVER_IMAGE: 'localhost/holdfast:test',
    // A machine's bundle of authorities is too large to be sent along, and this server needs none.
    AWS_CA_BUNDLE: undefined,
  };
  const child = spawn(process.execPath, [command, 'restore', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => {
    said.stdout += data;
  });
  child.stderr.on('data', (data) => {
    said.stderr += data;
    if (onNote(said.stderr) === 'kill') child.kill('SIGKILL');
  });
  return new Promise((resolve) => child.once('close', (exitCode) => resolve({ exitCode, ...said })));
}
