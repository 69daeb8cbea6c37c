/** A real S3 server (versitygw, posix backend) on a loopback port, its objects plain files in a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBinary } from '../cluster/binaries.ts';
import { freePort } from './free-port.ts';

/** What a client needs, and where the server keeps its objects: `<dataFolder>/<bucket>/<key>`. */
export interface S3Access {
  /** http://127.0.0.1:PORT */
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  readonly dataFolder: string;
}

export interface S3Server extends S3Access {
  stop(): Promise<void>;
}

/** Starts one; it is up when this returns. Builds the program where no cache has it. */
export async function startS3Server(): Promise<S3Server> {
  const program = await ensureBinary('versitygw');
  // The data folder needs extended attributes, which a tmpfs has only on newer kernels.
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-s3-'));
  const access = { accessKeyId: 'testaccess', secretAccessKey: 'testsecret123', region: 'us-east-1' };
  const folders = { data: join(folder, 'data'), versions: join(folder, 'versions'), iam: join(folder, 'iam') };
  for (const path of Object.values(folders)) await mkdir(path);
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const address = `127.0.0.1:${port}`;
    // Without --iam-dir an unknown key is answered with 404, without --keep-alive every answer closes its connection.
    const flags = ['--port', address, '--region', access.region, '--quiet', '--keep-alive', '--iam-dir', folders.iam];
    const child = spawn(program, [...flags, 'posix', '--versioning-dir', folders.versions, folders.data], {
      env: { ROOT_ACCESS_KEY: access.accessKeyId, ROOT_SECRET_KEY: access.secretAccessKey },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const output: string[] = [];
    child.stderr.on('data', (chunk: Buffer) => output.push(chunk.toString()));
    const endOnExit = () => child.kill('SIGKILL');
    process.once('exit', endOnExit);
    const stop = async () => {
      process.removeListener('exit', endOnExit);
      await end(child);
      await rm(folder, { recursive: true, force: true });
    };
    const endpoint = `http://${address}`;
    if (await answers(endpoint, child)) return { endpoint, ...access, dataFolder: folders.data, stop };
    await end(child);
    process.removeListener('exit', endOnExit);
    if (attempt === 3) {
      await rm(folder, { recursive: true, force: true });
      throw new Error(`versitygw did not start: ${output.join('').slice(-500)}`);
    }
  }
}

/** False when the program ended, or said nothing for 15 s. */
async function answers(endpoint: string, child: ChildProcess): Promise<boolean> {
  const untilMs = Date.now() + 15_000;
  while (Date.now() < untilMs && child.exitCode === null && child.signalCode === null) {
    const response = await fetch(endpoint).catch(() => undefined);
    if (response) {
      await response.arrayBuffer();
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return false;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
