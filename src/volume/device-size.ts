/** The size of a block device, which its stat does not tell. */
import { readSync } from 'node:fs';

const probe = Buffer.alloc(1);

/**
 * Bytes that can be read of an open device or file: the end is found by reading single bytes, in some hundred steps at
 * most, without an ioctl of the platform.
 */
export function sizeOfDevice(file: number): number {
  const has = (position: number): boolean => readSync(file, probe, 0, 1, position) === 1;
  if (!has(0)) return 0;
  // `low` can be read, `high` cannot.
  let low = 0;
  let high = 1 << 20;
  while (has(high)) {
    low = high;
    high *= 2;
  }
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2);
    if (has(middle)) low = middle;
    else high = middle;
  }
  return high;
}
