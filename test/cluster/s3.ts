/** The S3 server of a cluster: a process of the host, on an address that pods reach too. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BinaryPaths } from './control-plane.ts';
import type { ClusterLayout } from './layout.ts';
import { type Member, startMember, waitUntil } from './members.ts';

export interface S3Access {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Exists from the start. */
  readonly bucket: string;
}

export function s3AccessOf(layout: ClusterLayout): S3Access {
  return {
    endpoint: layout.s3Endpoint,
    region: 'us-east-1',
    accessKeyId: 'testaccess',
    secretAccessKey: 'testsecret123',
    bucket: 'backups',
  };
}

export async function startS3(layout: ClusterLayout, bin: Pick<BinaryPaths, 'versitygw'>): Promise<Member> {
  const access = s3AccessOf(layout);
  const folder = (name: string) => join(layout.stateFolder, 's3', name);
  // A bucket is a folder of the server's data.
  await mkdir(join(folder('data'), access.bucket), { recursive: true });
  for (const name of ['versions', 'iam']) await mkdir(folder(name), { recursive: true });
  const command = [
    bin.versitygw,
    ...['--port', new URL(access.endpoint).host, '--region', access.region, '--quiet', '--keep-alive'],
    ...['--iam-dir', folder('iam'), 'posix', '--versioning-dir', folder('versions'), folder('data')],
  ] as const;
  const keys = { ROOT_ACCESS_KEY: access.accessKeyId, ROOT_SECRET_KEY: access.secretAccessKey };
  const server = await startMember(layout, 's3', command, keys);
  // Any answer will do: without credentials it is 403.
  const answers = async () => (await fetch(access.endpoint)).status > 0;
  await waitUntil('the S3 server', answers, { members: [server] });
  return server;
}
