/**
 * One HTTP request to the API server: deadline, cancellation, whole answer or lines. No retries and no meaning here;
 * src/cluster/client.ts adds both.
 */
import http from 'node:http';
import https from 'node:https';

/** Where the server is and how a request is signed; asked for every request, since tokens are renewed. */
export interface Endpoint {
  readonly server: string;
  /** TLS options, agent and headers for the next request. */
  options(): Promise<https.RequestOptions>;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Path below the server address, without query. */
  readonly path: string;
  /** A list gives its key once for each of its values. */
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  readonly body?: string;
  readonly contentType?: string;
  /** From the start until the last byte of the answer. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** What a 429 or 503 asks for. */
  readonly retryAfterMs: number | undefined;
}

/** The server did not answer in time. Retried like a connection that was cut. */
export class CallTimeout extends Error {
  override readonly name = 'CallTimeout';
}

/** Rejects with the network's error, CallTimeout, or the reason of the signal; every HTTP status is an answer. */
export async function send(endpoint: Endpoint, call: Call): Promise<Answer> {
  const { response, finish } = await open(endpoint, call);
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    return {
      status: response.statusCode ?? 0,
      body: Buffer.concat(chunks).toString('utf8'),
      retryAfterMs: secondsHeader(response.headers['retry-after']),
    };
  } catch (error) {
    throw finish.cause() ?? error;
  } finally {
    finish();
  }
}

/**
 * The lines of an answer that goes on (watch, followed log), as they come. Ends when the server ends it; rejects like
 * send(), and with a StatusError for an answer that is not 200.
 */
export async function* sendForLines(endpoint: Endpoint, call: Call): AsyncGenerator<string> {
  const { response, finish } = await open(endpoint, call);
  try {
    let rest = '';
    response.setEncoding('utf8');
    for await (const chunk of response as AsyncIterable<string>) {
      rest += chunk;
      if (response.statusCode !== 200) continue;
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') yield line;
    }
    if (response.statusCode !== 200) throw new StatusError(response.statusCode ?? 0, rest);
    if (rest !== '') yield rest;
  } catch (error) {
    throw finish.cause() ?? error;
  } finally {
    finish();
  }
}

export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly status: number;
  readonly body: string;
  constructor(status: number, body: string) {
    super(`status ${status}`);
    this.status = status;
    this.body = body;
  }
}

interface Finish {
  (): void;
  /** Why we ended it ourselves, if we did. */
  cause(): Error | undefined;
}

async function open(endpoint: Endpoint, call: Call): Promise<{ response: http.IncomingMessage; finish: Finish }> {
  call.signal?.throwIfAborted();
  const options = await endpoint.options();
  const url = urlOf(endpoint.server, call);
  const headers: http.OutgoingHttpHeaders = { ...(options.headers as http.OutgoingHttpHeaders | undefined) };
  headers.accept = 'application/json';
  headers['user-agent'] = 'holdfast';
  if (call.body !== undefined) {
    headers['content-type'] = call.contentType ?? 'application/json';
    headers['content-length'] = Buffer.byteLength(call.body);
  }
  const request = (url.protocol === 'http:' ? http : https).request(url, { ...options, headers, method: call.method });
  const finish = endByDeadline(request, call);
  try {
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.on('error', reject);
      request.end(call.body);
    });
    return { response, finish };
  } catch (error) {
    finish();
    throw finish.cause() ?? error;
  }
}

/** Destroys the request at its deadline or when it is cancelled; a half-open connection cannot hold it longer. */
function endByDeadline(request: http.ClientRequest, call: Call): Finish {
  let cause: Error | undefined;
  const stop = (error: Error) => {
    cause ??= error;
    request.destroy(cause);
  };
  const timer = setTimeout(() => stop(new CallTimeout(`no answer in ${call.timeoutMs / 1000} s`)), call.timeoutMs);
  const onAbort = () => stop(asError(call.signal?.reason));
  call.signal?.addEventListener('abort', onAbort, { once: true });
  const finish = () => {
    clearTimeout(timer);
    call.signal?.removeEventListener('abort', onAbort);
  };
  return Object.assign(finish, { cause: () => cause });
}

export function urlOf(server: string, call: Pick<Call, 'path' | 'query'>): URL {
  const url = new URL(server);
  url.pathname = `${url.pathname.replace(/\/$/, '')}${call.path}`;
  for (const [key, value] of Object.entries(call.query ?? {})) {
    if (Array.isArray(value)) for (const one of value) url.searchParams.append(key, one);
    else if (value !== undefined) url.searchParams.set(key, String(value));
  }
  return url;
}

function secondsHeader(value: string | undefined): number | undefined {
  const seconds = Number(value);
  return value === undefined || !Number.isFinite(seconds) || seconds < 0 ? undefined : seconds * 1000;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
