/** The S3 client of the AWS SDK, set up for long runs. Loaded only by repositories on S3: it costs 0.3 s and 40 MiB. */
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';

import { HoldfastError } from '../base/errors.ts';
import { createReadHandler } from './s3-read-handler.ts';

export interface S3Options {
  /** Variables of the process: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_DEFAULT_REGION. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Requests at the same time; more wait for a connection. */
  readonly connections?: number;
  /** A connection on which nothing moves for so long is given up, also in the middle of a file. */
  readonly stalledMs?: number;
  readonly connectMs?: number;
}

export type Sdk = typeof import('@aws-sdk/client-s3');

export interface S3Connection {
  readonly sdk: Sdk;
  readonly client: S3Client;
  close(): void;
}

export async function connectS3(place: { url: string; endpoint: string }, options: S3Options): Promise<S3Connection> {
  const [sdk, { NodeHttpHandler }, http, https] = await Promise.all([
    import('@aws-sdk/client-s3'),
    import('@smithy/node-http-handler'),
    import('node:http'),
    import('node:https'),
  ]);
  const { connections = 32, stalledMs = 30_000, connectMs = 10_000 } = options;
  const agentOptions = { keepAlive: true, maxSockets: connections };
  const httpAgent = new http.Agent(agentOptions);
  const httpsAgent = new https.Agent(agentOptions);
  const silent = () => undefined;
  const rest = new NodeHttpHandler({
    httpAgent,
    httpsAgent,
    connectionTimeout: connectMs,
    socketTimeout: stalledMs,
    // The ceiling for an upload and its answer; without the second option the first only prints a warning.
    requestTimeout: Math.max(900_000, stalledMs),
    throwOnRequestTimeout: true,
    logger: { debug: silent, info: silent, warn: silent, error: silent },
  });
  const client = new sdk.S3Client({
    ...addressOf(place.endpoint, options.env ?? {}),
    ...credentialsOf(place.url, options.env ?? {}),
    // One more for a connection that was closed while idle; patience, with longer pauses, is the retrying store's.
    maxAttempts: 2,
    // Else every larger upload opens a connection of its own, and waits where a server knows no 100-continue.
    expectContinueHeader: false,
    // Uploads bring their SHA-256, and what is read is checked against its hash by the repository.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: createReadHandler({ rest, connections, connectMs, stalledMs }),
  });
  const close = () => {
    client.destroy();
    httpAgent.destroy();
    httpsAgent.destroy();
  };
  return { sdk, client, close };
}

/** AWS is reached by the SDK's own rules; any other host with the bucket in the path, which every server understands. */
function addressOf(endpoint: string, env: Readonly<Record<string, string | undefined>>): S3ClientConfig {
  const host = new URL(endpoint).host;
  const aws = /^s3(?:[.-]([a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?$/.exec(host);
  const region = aws?.[1] || env.AWS_REGION || env.AWS_DEFAULT_REGION || 'us-east-1';
  if (aws) return { region, followRegionRedirects: true };
  return { region, endpoint, forcePathStyle: true };
}

/** Keys from the variables given; else the SDK looks where it always does (profiles, web identity, instance roles). */
function credentialsOf(url: string, env: Readonly<Record<string, string | undefined>>): S3ClientConfig {
  const {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  } = env;
  if (!accessKeyId || !secretAccessKey) return {};
  // As from a Secret that was made of a file with a line break at its end; headers cannot carry it.
  if (/\s/.test(accessKeyId) || /\s/.test(secretAccessKey)) {
    const reason = 'AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY has a space or a line break in it';
    throw new HoldfastError('STORE_DENIED', { url, operation: 'signing in', reason });
  }
  return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) } };
}
