/** Lines of a long result, written many at a time, no faster than whoever reads them. */
import type { Output } from './output.ts';

const enoughCharacters = 64 << 10;

export class LineWriter {
  readonly #output: Output;
  #lines: string[] = [];
  #characters = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  async write(line: string): Promise<void> {
    this.#lines.push(line);
    this.#characters += line.length;
    if (this.#characters >= enoughCharacters) await this.end();
  }

  /** Writes what is left; the writer can go on. */
  async end(): Promise<void> {
    if (this.#lines.length === 0) return;
    const text = `${this.#lines.join('\n')}\n`;
    this.#lines = [];
    this.#characters = 0;
    await this.#output.bytes(Buffer.from(text));
  }
}
