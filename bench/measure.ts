/** Runs a program and says how long it took, on the clock and on the processors, and how much memory it had at most. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Measurement {
  readonly seconds: number;
  /** Of all threads, user and system; what others do on the machine hardly shows in it. */
  readonly cpuSeconds: number;
  readonly peakMib: number;
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string>>;
}

const sampleMs = 20;
/** USER_HZ, which is 100 on Linux. */
const ticksPerSecond = 100;

/** Throws with what the program said when it fails. */
export async function measure({ program, args, cwd, env }: Command): Promise<Measurement> {
  const start = performance.now();
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said = (said + chunk).slice(-4000);
    });
  }
  let last: Sample = { peakKib: 0, cpuTicks: 0 };
  const sampler = setInterval(() => {
    last = sample(child.pid ?? 0) ?? last;
  }, sampleMs);
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  clearInterval(sampler);
  const seconds = (performance.now() - start) / 1000;
  if (exitCode !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${exitCode}: ${said}`);
  return { seconds, cpuSeconds: last.cpuTicks / ticksPerSecond, peakMib: last.peakKib / 1024 };
}

interface Sample {
  /** High-water mark of the memory. */
  readonly peakKib: number;
  readonly cpuTicks: number;
}

/** undefined when the process is gone. The last sample before the end lacks at most `sampleMs`. */
function sample(pid: number): Sample | undefined {
  try {
    const peakKib = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    const cpuTicks = Number(fields[11]) + Number(fields[12]);
    return Number.isNaN(peakKib + cpuTicks) ? undefined : { peakKib, cpuTicks };
  } catch {
    return undefined;
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
