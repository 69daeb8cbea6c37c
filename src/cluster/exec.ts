/**
 * Runs a command in a container that is there, through the API server (exec subresource, channel protocol v5 or v4 over
 * a WebSocket; R9.1 to R9.7). What the command writes is handed on as it comes; the reader's pace is the command's.
 */
import { HoldfastError, messageOf } from '../base/errors.ts';
import { refusal, unreachable } from './api-error.ts';
import { isRecord, listAt, textAt } from './object.ts';
import { type Endpoint, StatusError } from './transport.ts';
import { openWebSocket, type WebSocket } from './web-socket.ts';

export interface PodCommand {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** Program and arguments; no shell is between. */
  readonly command: readonly string[];
}

export interface ExecOptions {
  /** From the call until the exit status is known. Infinity: as long as it takes. */
  readonly timeoutMs: number;
  /** Given to the command as it takes it, then the end of input. Needs an API server of 1.30 or later. */
  readonly stdin?: AsyncIterable<Uint8Array>;
  /** Called with one piece after the other; nothing more is read while its promise is open. What it throws ends all. */
  readonly onStdout?: (piece: Buffer) => void | Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

export interface ExecResult {
  /** 0 is the command's own success; above 128 it was ended by a signal (137: killed). */
  readonly exitCode: number;
  /** What it wrote to standard error: the first and the last 8 KiB. */
  readonly stderr: string;
  readonly stdoutBytes: number;
}

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
/** Only v5 can say that the input is over without closing all of the connection (R9.1). */
const HALF_CLOSE = 255;
const V5 = 'v5.channel.k8s.io';
const V4 = 'v4.channel.k8s.io';
const HANDSHAKE_MS = 30_000;
/** Node fires longer ones at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const CLOSE_GRACE_MS = 5_000;
const INPUT_PIECE_BYTES = 32 << 10;
const STDERR_END_BYTES = 8 << 10;

/**
 * Resolves with the exit code, whatever it is. Rejects with EXEC_FAILED (the command could not be started), EXEC_CUT
 * (the connection ended without a status; the command may have done anything), EXEC_TIMEOUT, the reason of the signal,
 * what onStdout or stdin threw, or the API server's refusal.
 *
 * Kubernetes has no way to end a command from outside: after a timeout, a cut or an abort it goes on in its container
 * until it is done or writes into the closed pipe. What must end has to be started under `timeout`.
 */
export async function execInPod(endpoint: Endpoint, target: PodCommand, options: ExecOptions): Promise<ExecResult> {
  options.signal?.throwIfAborted();
  const call = new ExecCall(target, options);
  try {
    return await call.run(open(endpoint, target, options));
  } finally {
    call.end();
  }
}

async function open(endpoint: Endpoint, target: PodCommand, options: ExecOptions): Promise<WebSocket> {
  const { namespace, pod, container, command } = target;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/exec`;
  const streams = { stdin: options.stdin !== undefined, stdout: true, stderr: true, tty: false };
  let socket: WebSocket;
  try {
    const query = { container, command, ...streams };
    const timeoutMs = Math.min(HANDSHAKE_MS, options.timeoutMs);
    socket = await openWebSocket(endpoint, { path, query, protocols: [V5, V4], timeoutMs });
  } catch (error) {
    if (error instanceof StatusError)
      throw refusal(error.status, error.body, 'run', `a command in ${describe(target)}`);
    throw unreachable(error, endpoint.server);
  }
  if (options.stdin !== undefined && socket.protocol !== V5) {
    socket.destroy();
    throw failed(target, 'this API server cannot end the input of a command (it is older than 1.30)');
  }
  return socket;
}

/** One call from its start to its status: its deadline, its signal and what came so far. */
class ExecCall {
  readonly #target: PodCommand;
  readonly #options: ExecOptions;
  readonly #stderr = new BothEnds(STDERR_END_BYTES);
  readonly #stopped: Promise<never>;
  #stop: (reason: unknown) => void = () => undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #onAbort = () => this.#stop(this.#options.signal?.reason);
  #over = false;
  #socket: WebSocket | undefined;
  #status: unknown;
  #stdoutBytes = 0;

  constructor(target: PodCommand, options: ExecOptions) {
    this.#target = target;
    this.#options = options;
    this.#stopped = new Promise((_, reject) => {
      this.#stop = reject;
    });
    this.#stopped.catch(() => undefined);
    const seconds = options.timeoutMs / 1000;
    const late = () => this.#stop(new HoldfastError('EXEC_TIMEOUT', { ...contextOf(target), seconds }));
    this.#timer = options.timeoutMs > LONGEST_TIMER_MS ? undefined : setTimeout(late, options.timeoutMs);
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** The result, unless the deadline or the signal comes first. */
  run(opening: Promise<WebSocket>): Promise<ExecResult> {
    return Promise.race([this.#converse(opening), this.#stopped]);
  }

  end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#socket?.destroy();
  }

  async #converse(opening: Promise<WebSocket>): Promise<ExecResult> {
    const socket = await opening;
    this.#socket = socket;
    if (this.#over) socket.destroy();
    const input = this.#options.stdin;
    if (input !== undefined) this.#feed(socket, input).catch((error: unknown) => this.#stop(error));
    try {
      for await (const message of socket.messages()) await this.#take(message);
    } catch (error) {
      if (error instanceof FromOutside) throw error.cause;
      // What breaks after the status has come takes nothing from us any more.
      if (this.#status === undefined) throw this.#cut(messageOf(error));
    }
    if (this.#status === undefined) throw this.#cut('the connection was closed');
    return { exitCode: this.#exitCode(), stderr: this.#stderr.text(), stdoutBytes: this.#stdoutBytes };
  }

  /** The first byte of a message is its channel. */
  async #take(message: Buffer): Promise<void> {
    const channel = message[0];
    const piece = message.subarray(1);
    if (channel === STDERR) this.#stderr.add(piece);
    else if (channel === STATUS) this.#hear(readStatus(piece));
    else if (channel === STDOUT && piece.length > 0) {
      this.#stdoutBytes += piece.length;
      try {
        await this.#options.onStdout?.(piece);
      } catch (error) {
        throw new FromOutside(error);
      }
    }
  }

  /** The last message by the protocol; then the server closes. One that does not cannot hold us. */
  #hear(status: unknown): void {
    this.#status = status;
    setTimeout(() => this.#socket?.destroy(), CLOSE_GRACE_MS).unref();
  }

  async #feed(socket: WebSocket, input: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const piece of input) {
      for (let at = 0; at < piece.length; at += INPUT_PIECE_BYTES) {
        const message = Buffer.concat([Buffer.from([STDIN]), piece.subarray(at, at + INPUT_PIECE_BYTES)]);
        if (!(await this.#sent(socket, message))) return;
      }
    }
    await this.#sent(socket, Buffer.from([HALF_CLOSE, STDIN]));
  }

  /** False where nobody takes it any more: the command may end without having read all, and its status tells. */
  async #sent(socket: WebSocket, message: Buffer): Promise<boolean> {
    if (this.#over) return false;
    return socket.send(message).then(
      () => true,
      () => false,
    );
  }

  /** Success, or a failure that carries the exit code; any other failure is the runtime's, and no exit code (R9.3). */
  #exitCode(): number {
    if (textAt(this.#status, 'status') === 'Success') return 0;
    const causes = listAt(this.#status, 'details', 'causes');
    const cause = causes.find((one) => textAt(one, 'reason') === 'ExitCode');
    const code = Number(textAt(cause, 'message') ?? '');
    if (textAt(this.#status, 'reason') === 'NonZeroExitCode' && Number.isInteger(code) && code > 0) return code;
    const reason = textAt(this.#status, 'message') || this.#stderr.text() || 'no reason was given';
    throw failed(this.#target, reason.replace(/^(Internal error occurred: )+/, '').trim());
  }

  #cut(reason: string): HoldfastError {
    return new HoldfastError('EXEC_CUT', { ...contextOf(this.#target), reason });
  }
}

/** Carries what the caller's own handler threw past the errors of the connection. */
class FromOutside extends Error {
  constructor(cause: unknown) {
    super('the reader of the output failed', { cause });
  }
}

/** The beginning and the end of a text of any length. */
class BothEnds {
  readonly #endBytes: number;
  #first = Buffer.alloc(0);
  #last = Buffer.alloc(0);
  #leftOutBytes = 0;

  constructor(endBytes: number) {
    this.#endBytes = endBytes;
  }

  add(piece: Buffer): void {
    const room = this.#endBytes - this.#first.length;
    this.#first = Buffer.concat([this.#first, piece.subarray(0, room)]);
    const both = Buffer.concat([this.#last, piece.subarray(room)]);
    const tooMany = Math.max(0, both.length - this.#endBytes);
    this.#leftOutBytes += tooMany;
    this.#last = both.subarray(tooMany);
  }

  text(): string {
    const gap = this.#leftOutBytes > 0 ? `\n… ${this.#leftOutBytes} bytes left out …\n` : '';
    return `${this.#first.toString('utf8')}${gap}${this.#last.toString('utf8')}`;
  }
}

function readStatus(piece: Buffer): unknown {
  try {
    const status: unknown = JSON.parse(piece.toString('utf8'));
    return isRecord(status) ? status : undefined;
  } catch {
    return undefined;
  }
}

function failed(target: PodCommand, reason: string): HoldfastError {
  return new HoldfastError('EXEC_FAILED', { ...contextOf(target), reason });
}

function contextOf(target: PodCommand) {
  return { program: target.command[0] ?? '', place: describe(target) };
}

function describe({ namespace, pod, container }: PodCommand): string {
  return `container ${container} of pod ${namespace}/${pod}`;
}
