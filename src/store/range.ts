/** The part of a file that a read asks for. */
import { damagedFile } from '../base/damaged-file.ts';
import type { HoldfastError } from '../base/errors.ts';
import { kindOf } from './file-path.ts';
import type { FileType, Range } from './store.ts';

/** The whole file where no range is given. A range that the file does not cover: FILE_DAMAGED. */
export function rangeWithin(sizeBytes: number, range: Range | undefined, type: FileType, name: string): Range {
  if (!range) return { offset: 0, length: sizeBytes };
  checkRange(range);
  if (range.offset + range.length > sizeBytes) throw tooShort(range, type, name, sizeBytes);
  return range;
}

/** Anything but whole numbers from 0 on is a bug of the caller. */
export function checkRange({ offset, length }: Range): void {
  if (!(Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0)) {
    throw new TypeError(`offset ${offset}, length ${length} is not a range`);
  }
}

/** The error for a file that ends before the range does. */
export function tooShort(range: Range, type: FileType, name: string, sizeBytes?: number): HoldfastError {
  const has = sizeBytes === undefined ? 'it is shorter' : `it has ${sizeBytes} bytes`;
  const reason = `${has}, but bytes ${range.offset} to ${range.offset + range.length} were expected in it`;
  return damagedFile({ kind: kindOf(type), name }, reason);
}
