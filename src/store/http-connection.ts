/** One connection to a server, one request at a time, with the bytes of an answer read straight to where they belong. */
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AnswerReader, type HttpAnswer } from './http-answer.ts';
import type { TlsOptions } from './tls-files.ts';

export interface ConnectionOptions {
  /** Scheme, host and port. */
  readonly origin: string;
  readonly connectMs: number;
  /** A connection on which nothing moves for so long is given up. */
  readonly stalledMs: number;
  /** No request lasts longer, however slowly it moves. */
  readonly requestMs: number;
  readonly tls: TlsOptions;
}

interface Exchange {
  readonly reader: AnswerReader;
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (error: Error) => void;
}

export class HttpConnection {
  readonly #socket: Socket;
  readonly #scratch = Buffer.allocUnsafeSlow(65_536);
  readonly #connected: Promise<void>;
  #exchange: Exchange | undefined;
  #isOpen = true;
  /** Whether the last request had any answer at all; without, a connection may just have been closed while idle. */
  hasAnswered = false;
  readonly #onClose: (connection: HttpConnection) => void;
  readonly #requestMs: number;

  constructor(options: ConnectionOptions, onClose: (connection: HttpConnection) => void) {
    this.#onClose = onClose;
    this.#requestMs = options.requestMs;
    this.#socket = this.#connect(options);
    this.#socket.setNoDelay(true);
    this.#connected = this.#whenConnected(options);
    // A failure to connect is told to whoever asks for something.
    this.#connected.catch(() => undefined);
    this.#socket.setTimeout(options.stalledMs, () => this.#fail(timeout('nothing moved on the connection')));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('end', () => this.#end());
    this.#socket.on('close', () => this.#end());
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Sends a request without a body and takes in the answer, whole. After an error the connection is closed. */
  async request(head: string): Promise<HttpAnswer> {
    if (this.#exchange) throw new TypeError('a connection takes one request at a time');
    this.hasAnswered = false;
    this.#socket.ref();
    const reader = new AnswerReader(this.#scratch);
    const answered = new Promise<HttpAnswer>((resolve, reject) => {
      this.#exchange = { reader, resolve, reject };
    });
    answered.catch(() => undefined);
    const timer = setTimeout(() => this.#fail(timeout('the answer takes too long')), this.#requestMs);
    try {
      return await this.#sendAndWait(head, answered);
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#fail(reset('the connection was closed'));
  }

  async #sendAndWait(head: string, answered: Promise<HttpAnswer>): Promise<HttpAnswer> {
    // Where connecting fails, the error that tells most about it is that of the answer.
    await Promise.race([answered, this.#connected]);
    if (!this.#isOpen) this.#fail(reset('the connection was closed'));
    else this.#socket.write(head, 'latin1');
    const answer = await answered;
    if (!answer.isReusable) this.close();
    // An idle connection must not keep the process alive.
    else this.#socket.unref();
    return answer;
  }

  #connect({ origin, tls }: ConnectionOptions): Socket {
    const { protocol, hostname, port } = new URL(origin);
    const host = hostname.replace(/^\[|\]$/g, '');
    const onread = {
      buffer: () => this.#exchange?.reader.buffer ?? this.#scratch,
      callback: (count: number) => this.#received(count),
    };
    if (protocol === 'http:') return connectPlain({ host, port: Number(port || 80), onread });
    const name = isIP(host) ? {} : { servername: host };
    const options = { host, port: Number(port || 443), onread, ALPNProtocols: ['http/1.1'], ...tls, ...name };
    return connectTls(options);
  }

  #whenConnected({ origin, connectMs }: ConnectionOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(timeout('the server did not answer')), connectMs);
      this.#socket.once(origin.startsWith('https:') ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer);
        resolve();
      });
      this.#socket.once('close', () => {
        clearTimeout(timer);
        reject(reset('the connection was closed'));
      });
      this.#socket.once('error', reject);
    });
  }

  /** Called by the socket for each piece; must not throw. */
  #received(count: number): boolean {
    const exchange = this.#exchange;
    if (!exchange) {
      this.#fail(reset('the server spoke without being asked'));
      return false;
    }
    this.hasAnswered = true;
    try {
      exchange.reader.received(count);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      return false;
    }
    this.#settleIfDone(exchange);
    return true;
  }

  #end(): void {
    const exchange = this.#exchange;
    if (exchange) {
      exchange.reader.ended();
      this.#settleIfDone(exchange);
    }
    this.#fail(reset('the connection ended too early'));
  }

  #settleIfDone({ reader, resolve }: Exchange): void {
    if (!reader.answer) return;
    this.#exchange = undefined;
    resolve(reader.answer);
  }

  #fail(error: Error): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.reject(error);
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#socket.destroy();
    this.#onClose(this);
  }
}

/** The codes by which the SDK knows what may be sent again. */
function reset(message: string): Error {
  return Object.assign(new Error(message), { code: 'ECONNRESET' });
}

function timeout(message: string): Error {
  return Object.assign(new Error(message), { name: 'TimeoutError', code: 'ETIMEDOUT' });
}
