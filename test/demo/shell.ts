/** A terminal session for onlookers: says what it does, shows each command as one would type it, and runs just that. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

const entryPoint = resolve(import.meta.dirname, '../../cmd/holdfast.js');

export class DemoShell {
  readonly #folder: string;
  readonly #env: Record<string, string | undefined>;

  /** Commands run in `folder`, which also gets a program `holdfast`; `path` are folders of more programs. */
  constructor(folder: string, env: Readonly<Record<string, string>> = {}, path: readonly string[] = []) {
    this.#folder = folder;
    const bin = join(folder, '.bin');
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, 'holdfast'), `#!/bin/sh\nexec "${process.execPath}" "${entryPoint}" "$@"\n`);
    chmodSync(join(bin, 'holdfast'), 0o755);
    this.#env = { ...process.env, ...env, PATH: [bin, ...path, process.env.PATH ?? ''].join(delimiter) };
  }

  say(...lines: readonly string[]): void {
    process.stdout.write(`\n${lines.map((line) => bold(`# ${line}`)).join('\n')}\n`);
  }

  /** Shows and sets a variable for the commands that follow. */
  export(name: string, value: string): void {
    this.#env[name] = value;
    process.stdout.write(`$ export ${name}=${value}\n`);
  }

  /** Shows and runs a line, which prints where this process prints. Throws when it fails. */
  run(line: string): void {
    this.#start(line, 'inherit');
  }

  /** The same for a line whose stdout matters to the story; it is shown afterwards, and returned. */
  capture(line: string): string {
    const stdout = this.#start(line, 'pipe');
    process.stdout.write(stdout);
    return stdout;
  }

  /** What a line prints, for the story's own proofs; not shown. */
  quiet(line: string): string {
    return this.#start(line, 'pipe', false);
  }

  #start(line: string, stdout: 'inherit' | 'pipe', shown = true): string {
    if (shown) process.stdout.write(`$ ${line}\n`);
    const result = spawnSync('sh', ['-ec', line], {
      cwd: this.#folder,
      env: this.#env,
      stdio: ['ignore', stdout, 'inherit'],
      encoding: 'utf8',
    });
    if (result.status !== 0) throw new Error(`this command ended with ${result.status ?? result.signal}: ${line}`);
    return result.stdout ?? '';
  }

  /** Whether there is such a program. */
  has(program: string): boolean {
    return spawnSync('sh', ['-c', `command -v ${program}`], { env: this.#env }).status === 0;
  }
}

export function bold(text: string): string {
  return process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text;
}
