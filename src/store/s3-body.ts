/** Takes in the body of an answer, whole or not at all. */
import type { Readable } from 'node:stream';
import { HoldfastError } from '../base/errors.ts';

/**
 * Exactly `length` bytes. A connection that ends before or brings more is STORE_UNREACHABLE, so that it is tried again.
 * The stream is over, one way or the other, when this settles: an unread one would hold its connection forever.
 */
export function readBody(body: Readable, length: number, url: string): Promise<Buffer> {
  // Not from the pool: whoever gets it may hand its memory to a worker.
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  return new Promise((resolve, reject) => {
    const fail = (reason: string, cause?: unknown) => {
      body.destroy();
      reject(new HoldfastError('STORE_UNREACHABLE', { url, reason }, { cause }));
    };
    body.on('data', (chunk: Buffer) => {
      if (filled + chunk.length > length) {
        fail(`more than the ${length} bytes came that were asked for`);
        return;
      }
      filled += chunk.copy(bytes, filled);
    });
    body.on('error', (error) => fail(`the connection broke after ${filled} of ${length} bytes`, error));
    body.on('close', () => fail(`the connection ended after ${filled} of ${length} bytes`));
    body.on('end', () => {
      if (filled === length) resolve(bytes);
      else fail(`the connection ended after ${filled} of ${length} bytes`);
    });
  });
}
