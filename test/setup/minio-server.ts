/** MinIO, where the environment names its program: other storage and other HTTP than the usual server of the tests. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { end, isUp } from './s3-server.ts';

export interface MinioServer {
  /** http://127.0.0.1:PORT */
  readonly endpoint: string;
  /** AWS_… with its keys. */
  readonly env: Record<string, string>;
  stop(): Promise<void>;
}

/** Starts one that can encrypt with a key of its own; it is up when this returns. */
export async function startMinioServer(program: string): Promise<MinioServer> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-minio-'));
  const port = await freePort();
  const [accessKeyId, secretAccessKey] = ['testaccess', 'testsecret123'];
  const child = spawn(program, ['server', '--quiet', '--address', `127.0.0.1:${port}`, folder], {
    env: {
      HOME: folder,
      MINIO_ROOT_USER: accessKeyId,
      MINIO_ROOT_PASSWORD: secretAccessKey,
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
      MINIO_KMS_SECRET_KEY: `test-key:${Buffer.alloc(32).toString('base64')}`,
    },
    stdio: 'ignore',
  });
  const endpoint = `http://127.0.0.1:${port}`;
  const stop = async () => {
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  if ((await isUp(port, child)) && (await isReady(endpoint))) {
    const keys = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    return { endpoint, env: { ...keys, AWS_REGION: 'us-east-1' }, stop };
  }
  await stop();
  throw new Error(`${program} did not start as a MinIO server`);
}

async function isReady(endpoint: string): Promise<boolean> {
  for (const untilMs = Date.now() + 30_000; Date.now() < untilMs; ) {
    const response = await fetch(`${endpoint}/minio/health/ready`).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.ok) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}
