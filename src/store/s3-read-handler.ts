/**
 * Lets the SDK read objects over connections of our own and do everything else, uploads too, over node:http. Reading is
 * where node:http is dear: its stream of small buffers costs eight times the processor time of the bytes themselves.
 */

import { Readable } from 'node:stream';
import type { NodeHttpHandler } from '@smithy/node-http-handler';
import { Semaphore } from '../base/concurrency.ts';
import { codeOf } from '../base/errors.ts';
import type { HttpAnswer } from './http-answer.ts';
import { type ConnectionOptions, HttpConnection } from './http-connection.ts';

type Handle = NodeHttpHandler['handle'];
type Request = Parameters<Handle>[0];
type Response = Awaited<ReturnType<Handle>>;

/** A body that is there already; as a stream it is one piece. */
export class WholeBody extends Readable {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    super({ highWaterMark: 0 });
    this.bytes = bytes;
  }

  override _read(): void {
    this.push(this.bytes);
    this.push(null);
  }
}

/** The bytes of a body: those that are there already, or the stream of a request that went another way, read whole. */
export async function bytesOf(body: NodeJS.ReadableStream | Blob | ReadableStream): Promise<Buffer> {
  if (body instanceof WholeBody) return body.bytes;
  if (!(body instanceof Readable)) throw new TypeError('the SDK has a body that is no stream');
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer);
  // Not from the pool: whoever gets it may hand its memory to a worker.
  const bytes = Buffer.allocUnsafeSlow(chunks.reduce((sum, { length }) => sum + length, 0));
  let filled = 0;
  for (const chunk of chunks) filled += chunk.copy(bytes, filled);
  return bytes;
}

export interface ReadHandlerOptions extends Omit<ConnectionOptions, 'origin'> {
  /** Does what is not the read of an object. */
  readonly rest: NodeHttpHandler;
  readonly connections: number;
}

/** A request handler for S3Client. */
export function createReadHandler({ rest, connections, ...options }: ReadHandlerOptions) {
  const pools = new Map<string, ConnectionPool>();

  async function read(request: Request): Promise<Response> {
    const origin = `${request.protocol}//${request.hostname}${request.port ? `:${request.port}` : ''}`;
    const pool = pools.get(origin) ?? new ConnectionPool({ origin, ...options }, connections);
    pools.set(origin, pool);
    const { status, headers, body } = await pool.request(requestHead(request));
    // Without a length a connection that breaks looks like one that ends.
    if (status < 300 && headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
      throw new Error('the server did not tell how long its answer is');
    }
    return { response: { statusCode: status, headers, body: new WholeBody(body) } };
  }

  return {
    metadata: rest.metadata,
    handle: ((request, handling) => (isObjectRead(request) ? read(request) : rest.handle(request, handling))) as Handle,
    updateHttpClientConfig: rest.updateHttpClientConfig.bind(rest),
    httpHandlerConfigs: rest.httpHandlerConfigs.bind(rest),
    destroy() {
      for (const pool of pools.values()) pool.close();
      rest.destroy();
    },
  };
}

/** The SDK names the operation in the query. */
function isObjectRead({ method, query, body }: Request): boolean {
  return method === 'GET' && query?.['x-id'] === 'GetObject' && !body;
}

function requestHead({ path, query, headers }: Request): string {
  const encode = (text: string) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  const pairs = Object.entries(query ?? {}).flatMap(([name, value]) =>
    [value].flat().map((one) => (one === null ? encode(name) : `${encode(name)}=${encode(one)}`)),
  );
  const target = pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  if ([target, ...lines].some((line) => /[\r\n]/.test(line))) throw new TypeError('a request with a line break in it');
  return `GET ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\nconnection: keep-alive\r\n\r\n`;
}

class ConnectionPool {
  readonly #options: ConnectionOptions;
  readonly #slots: Semaphore;
  readonly #idle: HttpConnection[] = [];
  readonly #all = new Set<HttpConnection>();
  #isClosed = false;

  constructor(options: ConnectionOptions, limit: number) {
    this.#options = options;
    this.#slots = new Semaphore(limit);
  }

  request(head: string): Promise<HttpAnswer> {
    return this.#slots.run(async () => {
      for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
        if (!idle.isOpen) continue;
        try {
          return await this.#ask(idle, head);
        } catch (error) {
          // Servers close what was idle for a while, and this one did so just now.
          if (idle.hasAnswered || !isReset(error)) throw error;
        }
      }
      // The SDK would try again what closing broke off.
      if (this.#isClosed) throw new Error('the store was closed');
      const fresh = new HttpConnection(this.#options, (closed) => this.#all.delete(closed));
      this.#all.add(fresh);
      return await this.#ask(fresh, head);
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of [...this.#all]) connection.close();
  }

  async #ask(connection: HttpConnection, head: string): Promise<HttpAnswer> {
    const answer = await connection.request(head);
    if (connection.isOpen) this.#idle.push(connection);
    return answer;
  }
}

function isReset(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE'].includes(codeOf(error) ?? '');
}
