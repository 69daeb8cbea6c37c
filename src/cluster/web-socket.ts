/**
 * The client's half of a WebSocket (RFC 6455) to the API server, for exec. Our own, because a reader that is slower than
 * the server must be able to hold it up: the socket is read only as fast as the messages are taken (R9.2).
 */
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import { type Call, type Endpoint, StatusError, urlOf } from './transport.ts';

export interface WebSocketCall {
  readonly path: string;
  readonly query: NonNullable<Call['query']>;
  /** What we speak, the best first. */
  readonly protocols: readonly string[];
  /** Until the server has agreed to speak one of them. */
  readonly timeoutMs: number;
}

export interface WebSocket {
  /** The one of our protocols that the server chose. */
  readonly protocol: string;
  /** Whole messages in their order. Ends when either side closes; rejects when the connection breaks or goes silent. */
  messages(): AsyncGenerator<Buffer>;
  /** Resolves when the connection takes more. */
  send(payload: Uint8Array): Promise<void>;
  /** Ends the connection at once; messages() rejects with the cause. */
  destroy(cause?: Error): void;
}

const ACCEPT_KEY = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const CONTINUATION = 0;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
/** Servers send 32 KiB; the bound only keeps a broken one from filling our memory. */
const LONGEST_MESSAGE_BYTES = 4 << 20;
/** What passes nothing for long is cut by load balancers, and a dead peer never says so (R9.5). */
const PING_EVERY_MS = 5_000;
const SILENCE_LIMIT_MS = 60_000;

/** Rejects with StatusError where the server answers anything but a WebSocket, and with errors of the network. */
export async function openWebSocket(endpoint: Endpoint, call: WebSocketCall): Promise<WebSocket> {
  const key = randomBytes(16).toString('base64');
  const { response, socket, head } = await upgrade(endpoint, call, key);
  const accept = createHash('sha1').update(`${key}${ACCEPT_KEY}`).digest('base64');
  const protocol = response.headers['sec-websocket-protocol'] ?? '';
  if (response.headers['sec-websocket-accept'] !== accept || !call.protocols.includes(protocol)) {
    socket.destroy();
    throw new StatusError(response.statusCode ?? 0, `it speaks "${protocol}", we speak ${call.protocols.join(', ')}`);
  }
  return socketOf(socket, head, protocol);
}

interface Upgraded {
  readonly response: http.IncomingMessage;
  readonly socket: Duplex;
  /** What followed the answer at once. */
  readonly head: Buffer;
}

async function upgrade(endpoint: Endpoint, call: WebSocketCall, key: string): Promise<Upgraded> {
  const options = await endpoint.options();
  const url = urlOf(endpoint.server, call);
  const headers = {
    ...(options.headers as http.OutgoingHttpHeaders | undefined),
    'user-agent': 'holdfast',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': key,
    'sec-websocket-protocol': call.protocols.join(', '),
  };
  const request = (url.protocol === 'http:' ? http : https).request(url, { ...options, headers });
  const timer = setTimeout(() => request.destroy(new TimeoutError(call.timeoutMs)), call.timeoutMs);
  try {
    return await new Promise<Upgraded>((resolve, reject) => {
      request.on('error', reject);
      request.once('upgrade', (response, socket, head) => resolve({ response, socket, head }));
      request.once('response', (response) => readRefusal(response).then(reject, reject));
      request.end();
    });
  } finally {
    clearTimeout(timer);
  }
}

/** The connection opened, but nothing came for too long. `code` is what the network's own errors have. */
class TimeoutError extends Error {
  readonly code = 'ETIMEDOUT';
  constructor(timeoutMs: number) {
    super(`nothing came for ${timeoutMs / 1000} s`);
  }
}

async function readRefusal(response: http.IncomingMessage): Promise<StatusError> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return new StatusError(response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8'));
}

function socketOf(socket: Duplex, head: Buffer, protocol: string): WebSocket {
  /** Since when we wait for the server; undefined while the reader of the messages is at work, as he may take long. */
  let waitingSinceMs: number | undefined = Date.now();
  const heart = setInterval(() => {
    const silentMs = waitingSinceMs === undefined ? 0 : Date.now() - waitingSinceMs;
    // Never while there may be more to read: a server that has written all of it and closed answers with a reset, which
    // takes what is still on its way (R9.8).
    if (silentMs > SILENCE_LIMIT_MS) socket.destroy(new TimeoutError(SILENCE_LIMIT_MS));
    else if (silentMs >= PING_EVERY_MS) socket.write(frameOf(PING, new Uint8Array(0)));
  }, PING_EVERY_MS);
  heart.unref();
  socket.on('close', () => clearInterval(heart));
  // Where nobody reads at the moment, the error waits for the next read or write.
  socket.on('error', () => undefined);
  return {
    protocol,
    async *messages() {
      const parser = new FrameParser(head);
      const chunks = socket[Symbol.asyncIterator]();
      for (;;) {
        for (let frame = parser.take(); frame !== undefined; frame = parser.take()) {
          waitingSinceMs = undefined;
          if (frame.opcode === CLOSE) return;
          if (frame.opcode === PING) socket.write(frameOf(PONG, frame.payload));
          if (frame.opcode === BINARY) yield frame.payload;
        }
        waitingSinceMs = Date.now();
        const { done, value } = await chunks.next();
        if (done) return;
        parser.add(value);
      }
    },
    send: (payload) => write(socket, frameOf(BINARY, payload)),
    destroy: (cause) => {
      socket.destroy(cause);
    },
  };
}

function write(socket: Duplex, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(data, (error) => (error ? reject(error) : resolve()));
  });
}

interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** Frames out of the bytes of a server; a message in several fragments comes as one. */
class FrameParser {
  #rest: Buffer;
  #fragments: Frame[] = [];

  constructor(head: Buffer) {
    this.#rest = head;
  }

  add(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
  }

  /** The next frame that has come whole. */
  take(): Frame | undefined {
    for (;;) {
      const frame = this.#takeFragment();
      if (frame === undefined) return undefined;
      if (frame.final && frame.opcode !== CONTINUATION) return frame;
      this.#fragments.push(frame);
      const lengthBytes = this.#fragments.reduce((sum, { payload }) => sum + payload.length, 0);
      if (lengthBytes > LONGEST_MESSAGE_BYTES) throw new Error('a message of the server is too long');
      if (!frame.final) continue;
      const whole = {
        opcode: this.#fragments[0]?.opcode ?? BINARY,
        payload: Buffer.concat(this.#fragments.map(({ payload }) => payload)),
      };
      this.#fragments = [];
      return whole;
    }
  }

  /** Byte 0: final bit and opcode; byte 1: length up to 125, or 126 and 127 for 2 and 8 bytes of length. No mask. */
  #takeFragment(): (Frame & { readonly final: boolean }) | undefined {
    const bytes = this.#rest;
    if (bytes.length < 2) return undefined;
    const first = bytes.readUInt8(0);
    const short = bytes.readUInt8(1);
    if (short >= 128 || (first & 0x70) !== 0) throw new Error('the server broke the WebSocket protocol');
    const start = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (bytes.length < start) return undefined;
    const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
    if (length > LONGEST_MESSAGE_BYTES) throw new Error('a message of the server is too long');
    if (bytes.length < start + length) return undefined;
    this.#rest = bytes.subarray(start + length);
    return { opcode: first & 0x0f, final: first >= 128, payload: bytes.subarray(start, start + length) };
  }
}

/** One final frame of a client, masked as clients must. Payloads of up to 64 KiB. */
function frameOf(opcode: number, payload: Uint8Array): Buffer {
  const long = payload.length > 125;
  if (payload.length > 0xffff) throw new TypeError(`a frame of ${payload.length} bytes`);
  const headBytes = long ? 4 : 2;
  const frame = Buffer.alloc(headBytes + 4 + payload.length);
  frame.writeUInt8(0x80 | opcode, 0);
  frame.writeUInt8(0x80 | (long ? 126 : payload.length), 1);
  if (long) frame.writeUInt16BE(payload.length, 2);
  const mask = randomBytes(4);
  mask.copy(frame, headBytes);
  for (let index = 0; index < payload.length; index++) {
    frame[headBytes + 4 + index] = (payload[index] ?? 0) ^ (mask[index & 3] ?? 0);
  }
  return frame;
}
