/** The S3 client of the AWS SDK, set up for long runs. Loaded only by repositories on S3: it costs 0.3 s and 40 MiB. */
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import { HoldfastError } from '../base/errors.ts';
import { addressOf, type Region, regionOf } from './s3-address.ts';
import { failureOf } from './s3-errors.ts';
import { createReadHandler, type ReadHandlerOptions } from './s3-read-handler.ts';
import type { S3Settings, Variables } from './s3-settings.ts';
import { readTls } from './tls-files.ts';

export interface S3Options {
  /** Variables of the process: credentials, region, certificates and options, see docs/stores.md. */
  readonly env?: Variables;
  /** Requests at the same time; more wait for a connection. `s3.connections` of the settings comes first. */
  readonly connections?: number;
  /** A connection on which nothing moves for so long is given up, also in the middle of a file. */
  readonly stalledMs?: number;
  readonly connectMs?: number;
  /** No request lasts longer, however slowly it moves; default 15 minutes, in which 16 MiB arrive at 18 KiB/s. */
  readonly requestMs?: number;
}

export type Sdk = typeof import('@aws-sdk/client-s3');

export interface S3Connection {
  readonly sdk: Sdk;
  readonly client: S3Client;
  close(): void;
}

export async function connectS3(
  place: { url: string; endpoint: string },
  settings: S3Settings,
  options: S3Options,
): Promise<S3Connection> {
  const [sdk, tls] = await Promise.all([
    import('@aws-sdk/client-s3'),
    readTls(settings.authorities, settings.clientCertificate),
  ]);
  const env = options.env ?? {};
  const { stalledMs = 30_000, connectMs = 10_000, requestMs = 900_000 } = options;
  const connections = settings.connections ?? options.connections ?? 32;
  const proxied = proxyOf(place.endpoint, env);
  const limits = { connections, stalledMs, connectMs, requestMs, tls };
  const rest = await requestsOf(limits, proxied);
  const region = regionOf(place.endpoint, settings, env, () => new sdk.S3Client({}).config.region());
  const credentials = credentialsOf(place.url, env);
  const client = new sdk.S3Client({
    ...addressOf(place.endpoint, settings),
    ...credentials,
    region: () => region.get(),
    retryStrategy: reconnectOnce,
    // Else every larger upload opens a connection of its own, and waits where a server knows no 100-continue.
    expectContinueHeader: false,
    // Uploads bring their SHA-256, and what is read is checked against its hash by the repository.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Connections of our own know no proxies.
    requestHandler: proxied ? rest.handler : createReadHandler({ rest: rest.handler, ...limits }),
  });
  adapt(client, region, credentials.credentials === undefined);
  const close = () => {
    client.destroy();
    rest.close();
  };
  return { sdk, client, close };
}

/** Everything but the reads of objects, or those too where a proxy stands in between. */
async function requestsOf(
  { connections, stalledMs, connectMs, requestMs, tls }: Omit<ReadHandlerOptions, 'rest'>,
  proxied: Record<string, string> | undefined,
) {
  const [{ NodeHttpHandler }, http, https] = await Promise.all([
    import('@smithy/node-http-handler'),
    import('node:http'),
    import('node:https'),
  ]);
  const agentOptions = { keepAlive: true, maxSockets: connections, ...(proxied ? { proxyEnv: proxied } : {}) };
  const httpAgent = new http.Agent(agentOptions);
  const httpsAgent = new https.Agent({ ...agentOptions, ...tls });
  const silent = () => undefined;
  const handler = new NodeHttpHandler({
    httpAgent,
    httpsAgent,
    connectionTimeout: connectMs,
    socketTimeout: stalledMs,
    // The ceiling for an upload and its answer; without the second option the first only prints a warning.
    requestTimeout: requestMs,
    throwOnRequestTimeout: true,
    logger: { debug: silent, info: silent, warn: silent, error: silent },
  });
  const close = () => {
    httpAgent.destroy();
    httpsAgent.destroy();
  };
  return { handler, close };
}

/** The variables of a proxy, as most programs know them; undefined where none is meant for that address. */
function proxyOf(endpoint: string, env: Variables): Record<string, string> | undefined {
  const names = endpoint.startsWith('https:') ? ['https_proxy', 'HTTPS_PROXY'] : ['http_proxy', 'HTTP_PROXY'];
  if (!names.some((name) => env[name])) return undefined;
  const all = [...names, 'no_proxy', 'NO_PROXY'].map((name): [string, string] => [name, env[name] ?? '']);
  return Object.fromEntries(all.filter(([, value]) => value !== ''));
}

/** Once more for a connection that was closed while idle, or a clock that is now known to be wrong; patience is the retrying store's. */
const reconnectOnce: NonNullable<S3ClientConfig['retryStrategy']> = {
  acquireInitialRetryToken: async () => attempt(0),
  async refreshRetryTokenForRetry(token, { error }) {
    const { code, status } = failureOf(error);
    const isReset = status === undefined && (code === 'ECONNRESET' || code === 'EPIPE');
    if (token.getRetryCount() > 0 || !(isReset || isClockCorrected(error))) throw error;
    return attempt(1);
  },
  recordSuccess() {},
};

function attempt(count: number) {
  return { getRetryCount: () => count, getRetryDelay: () => 0 };
}

function isClockCorrected(error: unknown): boolean {
  const { $metadata } = error as { $metadata?: { clockSkewCorrected?: boolean } };
  return $metadata?.clockSkewCorrected === true;
}

/** What a server says of keys that were good once. */
const replacedNames = new Set(['ExpiredToken', 'ExpiredTokenException', 'InvalidToken', 'InvalidAccessKeyId']);

/** Tries again, once, with the region that the server told, and with fresh credentials where those in use were replaced. */
function adapt(client: S3Client, region: Region, canRefresh: boolean): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        const { name, region: told } = failureOf(error);
        if (canRefresh && replacedNames.has(name)) await client.config.credentials({ forceRefresh: true });
        else if (told === undefined || !region.follow(told)) throw error;
        return await next(args);
      }
    },
    { step: 'initialize', priority: 'high', name: 'adapt' },
  );
}

/** Keys from the variables given; else the SDK looks where it always does (profiles, web identity, instance roles). */
function credentialsOf(url: string, env: Variables): Pick<S3ClientConfig, 'credentials'> {
  const {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  } = env;
  if (!accessKeyId || !secretAccessKey) return {};
  // As from a Secret that was made of a file with a line break at its end; headers cannot carry it.
  if (/\s/.test(accessKeyId) || /\s/.test(secretAccessKey)) {
    const reason = 'AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY has a space or a line break in it';
    throw new HoldfastError('CREDENTIALS_REJECTED', { url, reason });
  }
  return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) } };
}
