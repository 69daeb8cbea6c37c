/**
 * Reads one HTTP/1.1 answer (RFC 9112) out of the bytes of a connection. It says where the next bytes shall go, so that
 * the body of a file lands in its own memory without passing through a stream of small buffers on the way.
 */

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case; values of the same name joined with ', '. */
  readonly headers: Record<string, string>;
  readonly body: Buffer;
  /** Whether the connection can be used for another request. */
  readonly isReusable: boolean;
}

const headLimit = 65_536;
/** For bodies that do not tell their length: errors, mostly. */
const untoldLimit = 16 * 2 ** 20;
const headEnd = Buffer.from('\r\n\r\n');

type Body =
  | { readonly kind: 'length'; readonly bytes: Buffer }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' };

export class AnswerReader {
  readonly #scratch: Buffer;
  #head: { status: number; headers: Record<string, string>; isOldVersion: boolean } | undefined;
  /** What came and is not yet understood: the head, or a body that did not tell its length. */
  #raw: Buffer = Buffer.alloc(0);
  #body: Body | undefined;
  #filled = 0;
  #answer: HttpAnswer | undefined;

  /** `scratch` takes what has no place of its own; it is not used any more once the answer is complete. */
  constructor(scratch: Buffer) {
    this.#scratch = scratch;
  }

  /** Where the next bytes go; never empty. */
  get buffer(): Buffer {
    if (this.#body?.kind !== 'length' || this.#answer) return this.#scratch;
    return this.#body.bytes.subarray(this.#filled);
  }

  get hasBegun(): boolean {
    return this.#head !== undefined || this.#raw.length > 0;
  }

  /** Set once everything has come. */
  get answer(): HttpAnswer | undefined {
    return this.#answer;
  }

  /** `count` bytes were written to the start of `buffer`. Throws when they are no HTTP. */
  received(count: number): void {
    if (this.#answer) throw new Error('the server sent more than its answer');
    if (this.#body?.kind === 'length') {
      this.#filled += count;
      if (this.#filled === this.#body.bytes.length) this.#finish(this.#body.bytes, true);
      return;
    }
    this.#raw = Buffer.concat([this.#raw, this.#scratch.subarray(0, count)]);
    while (!this.#head && this.#readHead());
    if (this.#body?.kind === 'chunked') this.#readChunks();
    if (!this.#answer && this.#raw.length > untoldLimit) throw new Error('the answer of the server is too long');
  }

  /** The connection ended, which is the end of some answers. */
  ended(): void {
    if (this.#body?.kind === 'until-close' && !this.#answer) this.#finish(this.#raw, false);
  }

  /** True when there may be another head behind this one: 1xx answers come before the real one. */
  #readHead(): boolean {
    const end = this.#raw.indexOf(headEnd);
    if (end < 0) {
      if (this.#raw.length > headLimit) throw new Error('the head of the answer is too long');
      return false;
    }
    const head = parseHead(this.#raw.subarray(0, end).toString('latin1'));
    this.#raw = this.#raw.subarray(end + headEnd.length);
    if (head.status < 200) return true;
    this.#head = head;
    this.#startBody(head.status, head.headers);
    return false;
  }

  #startBody(status: number, headers: Record<string, string>): void {
    if (headers['transfer-encoding'] !== undefined) {
      if (headers['transfer-encoding'].toLowerCase() !== 'chunked')
        throw new Error('the answer has an unknown encoding');
      this.#body = { kind: 'chunked' };
      return;
    }
    const isBare = status === 204 || status === 304;
    const told = isBare ? '0' : headers['content-length'];
    if (told === undefined) {
      this.#body = { kind: 'until-close' };
      return;
    }
    const length = /^\d+$/.test(told) ? Number(told) : Number.NaN;
    if (!Number.isSafeInteger(length)) throw new Error(`the answer has the length ${JSON.stringify(told)}`);
    if (this.#raw.length > length) throw new Error('the server sent more than its answer');
    // Not from the pool: whoever gets it may hand its memory to a worker.
    const bytes = Buffer.allocUnsafeSlow(length);
    this.#filled = this.#raw.copy(bytes);
    this.#body = { kind: 'length', bytes };
    if (this.#filled === length) this.#finish(bytes, true);
  }

  /** From the start each time: such bodies are short. */
  #readChunks(): void {
    const parts: Buffer[] = [];
    for (let position = 0; ; ) {
      const lineEnd = this.#raw.indexOf('\r\n', position);
      if (lineEnd < 0) return;
      const size = /^([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?$/.exec(this.#raw.toString('latin1', position, lineEnd))?.[1];
      if (size === undefined) throw new Error('the answer is cut into chunks in an unknown way');
      const start = lineEnd + 2;
      const end = start + Number.parseInt(size, 16);
      if (end === start) {
        const trailerEnd = this.#raw.indexOf(headEnd, lineEnd);
        if (trailerEnd >= 0) this.#finish(Buffer.concat(parts), trailerEnd + headEnd.length === this.#raw.length);
        return;
      }
      if (this.#raw.length < end + 2) return;
      parts.push(this.#raw.subarray(start, end));
      position = end + 2;
    }
  }

  #finish(body: Buffer, isReusable: boolean): void {
    if (!this.#head) throw new TypeError('an answer cannot end before its head');
    const { status, headers, isOldVersion } = this.#head;
    const mayStay = !isOldVersion && !/\bclose\b/i.test(headers.connection ?? '');
    this.#answer = { status, headers, body, isReusable: isReusable && mayStay };
  }
}

function parseHead(text: string): { status: number; headers: Record<string, string>; isOldVersion: boolean } {
  const [statusLine = '', ...lines] = text.split('\r\n');
  const match = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(statusLine);
  if (!match) throw new Error(`the answer is no HTTP/1.1: ${JSON.stringify(statusLine.slice(0, 60))}`);
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon <= 0 || /\s/.test(line.slice(0, colon))) throw new Error('a header of the answer cannot be read');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    // Two different lengths would mean that two readers see two different answers.
    if (name === 'content-length' && headers[name] !== undefined && headers[name] !== value) {
      throw new Error('the answer tells two lengths');
    }
    headers[name] = headers[name] === undefined || name === 'content-length' ? value : `${headers[name]}, ${value}`;
  }
  return { status: Number(match[2]), headers, isOldVersion: match[1] === '0' };
}
