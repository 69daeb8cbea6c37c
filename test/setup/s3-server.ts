/** A real S3 server (versitygw, posix backend) on a loopback port, its objects plain files in a folder of its own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureBinary } from '../cluster/binaries.ts';
import { freePort } from './free-port.ts';

/** How a server differs from the usual one. */
export interface S3ServerOptions {
  /** Encrypted connections, with that certificate; the endpoint is https://localhost then. */
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string };
  /** Buckets stand in front of that name, as in bucket.s3.localhost, as well as in the path. */
  readonly virtualDomain?: string;
}

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
export async function startS3Server({ tls, virtualDomain }: S3ServerOptions = {}): Promise<S3Server> {
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
    const tlsFlags = tls ? ['--cert', tls.certificateFile, '--key', tls.keyFile] : [];
    const domainFlags = virtualDomain === undefined ? [] : ['--virtual-domain', `${virtualDomain}:${port}`];
    const child = spawn(
      program,
      [...flags, ...tlsFlags, ...domainFlags, 'posix', '--versioning-dir', folders.versions, folders.data],
      {
        env: { ROOT_ACCESS_KEY: access.accessKeyId, ROOT_SECRET_KEY: access.secretAccessKey },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    const output: string[] = [];
    child.stderr.on('data', (chunk: Buffer) => output.push(chunk.toString()));
    const endOnExit = () => child.kill('SIGKILL');
    process.once('exit', endOnExit);
    const stop = async () => {
      process.removeListener('exit', endOnExit);
      await end(child);
      await rm(folder, { recursive: true, force: true });
    };
    const endpoint = tls ? `https://localhost:${port}` : `http://${address}`;
    if (await isUp(port, child)) return { endpoint, ...access, dataFolder: folders.data, stop };
    await end(child);
    process.removeListener('exit', endOnExit);
    if (attempt === 3) {
      await rm(folder, { recursive: true, force: true });
      throw new Error(`versitygw did not start: ${output.join('').slice(-500)}`);
    }
  }
}

/** Waits for a port of this machine; false when the program ended, or did not listen for 15 s. */
export async function isUp(port: number, child: ChildProcess): Promise<boolean> {
  const untilMs = Date.now() + 15_000;
  while (Date.now() < untilMs && child.exitCode === null && child.signalCode === null) {
    if (await listens(port)) return true;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return false;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** A user beside the one that the server was started with: an admin may do everything, a user what policies allow. */
export async function addUser(
  access: S3Access,
  accessKeyId: string,
  secretAccessKey: string,
  role: 'admin' | 'user' = 'admin',
): Promise<void> {
  await admin(access, ['create-user', '--access', accessKeyId, '--secret', secretAccessKey, '--role', role]);
}

export async function removeUser(access: S3Access, accessKeyId: string): Promise<void> {
  await admin(access, ['delete-user', '--access', accessKeyId]);
}

async function admin({ accessKeyId, secretAccessKey, endpoint }: S3Access, command: string[]): Promise<void> {
  const who = ['--access', accessKeyId, '--secret', secretAccessKey, '--endpoint-url', endpoint];
  await promisify(execFile)(await ensureBinary('versitygw'), ['admin', ...who, ...command]);
}
