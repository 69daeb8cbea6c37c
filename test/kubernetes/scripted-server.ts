/** An HTTP server that answers by a script: what a real API server does seldom, done on demand. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Clock } from '../../src/base/clock.ts';
import { type Cluster, clusterAt } from '../../src/cluster/client.ts';

export interface Received {
  readonly method: string;
  readonly url: URL;
  readonly body: string;
  readonly contentType: string | undefined;
}

export type Reply = (response: ServerResponse, request: Received) => void;

export interface ScriptedServer {
  readonly cluster: Cluster;
  readonly received: readonly Received[];
  /** Pauses that the client made, in ms; none of them takes any time. */
  readonly pauses: readonly number[];
  stop(): Promise<void>;
}

/** Each request gets what `answer` returns for it. */
export async function startScriptedServer(
  answer: (request: Received, count: number) => Reply,
): Promise<ScriptedServer> {
  const received: Received[] = [];
  const server = createServer((message, response) => {
    void readBody(message).then((body) => {
      const url = new URL(message.url ?? '/', 'http://server');
      const request = { method: message.method ?? '', url, body, contentType: message.headers['content-type'] };
      received.push(request);
      answer(request, received.length)(response, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const pauses: number[] = [];
  const clock: Clock = {
    nowMs: () => Date.now(),
    sleep: async (durationMs, signal) => {
      signal?.throwIfAborted();
      pauses.push(durationMs);
    },
  };
  const endpoint = { server: `http://127.0.0.1:${port}`, options: async () => ({}) };
  return {
    cluster: clusterAt(endpoint, undefined, clock),
    received,
    pauses,
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Reply {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

/** A metav1.Status, as the API server refuses with. */
export function refuse(code: number, reason: string, message: string, headers: Record<string, string> = {}): Reply {
  return json(code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message }, headers);
}

/** The connection is cut without an answer. */
export const hangUp: Reply = (response) => response.destroy();

async function readBody(message: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of message) body += String(chunk);
  return body;
}
