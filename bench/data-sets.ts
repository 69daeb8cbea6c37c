/** The data that is backed up in the benchmarks: the same bytes on every machine and in every run. */
import { createCipheriv, createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface DataSet {
  readonly name: string;
  readonly title: string;
  make(folder: string): void;
}

const mib = 1 << 20;

/** Large files: every second one does not compress, the others are like access logs. */
export function largeFiles(sizeMib: number): DataSet {
  const fileMib = 16;
  const count = Math.max(2, Math.round(sizeMib / fileMib));
  return {
    name: 'large',
    title: `${sizeMib} MiB in ${count} files, half random bytes, half logs`,
    make: (folder) => {
      mkdirSync(folder, { recursive: true });
      for (let at = 0; at < count; at++) {
        const content = at % 2 === 0 ? noise(`large ${at}`, fileMib * mib) : logText(at, fileMib * mib);
        writeFileSync(join(folder, at % 2 === 0 ? `data-${at}.bin` : `access-${at}.log`), content);
      }
    },
  };
}

/** Small files of 1 to 20 KB of text, a hundred a folder. */
export function smallFiles(count: number): DataSet {
  return {
    name: 'small',
    title: `${count} files of 1 to 20 KB, text`,
    make: (folder) => {
      const text = logText(7, 8 * mib);
      for (let at = 0; at < count; at++) {
        const parent = join(folder, `folder-${Math.floor(at / 100)}`);
        if (at % 100 === 0) mkdirSync(parent, { recursive: true });
        const sizeBytes = 1000 + ((at * 7919) % 19_000);
        const start = (at * 104_729) % (text.length - sizeBytes);
        // No two files begin alike, so that none is found to be there already.
        const head = Buffer.from(`file ${at} of ${count}\n`);
        writeFileSync(join(parent, `file-${at}.txt`), Buffer.concat([head, text.subarray(start, start + sizeBytes)]));
      }
    },
  };
}

function noise(seed: string, sizeBytes: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

function logText(seed: number, sizeBytes: number): Buffer {
  const text = Buffer.alloc(sizeBytes);
  let state = seed + 1;
  const next = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  for (let at = 0, second = 0; at < sizeBytes; second++) {
    const time = `${String(Math.floor(second / 3600) % 24).padStart(2, '0')}:${String(Math.floor(second / 60) % 60).padStart(2, '0')}`;
    const path = `/product/${next(50_000)}/picture-${next(9)}.jpg`;
    const line = `10.${next(4)}.${next(256)}.${next(256)} - user${next(2000)} [22/Nov/2026:${time}] "GET ${path} HTTP/2" ${next(10) === 0 ? 304 : 200} ${next(100_000)} "-" "Mozilla/5.0"\n`;
    at += text.write(line, at, 'latin1');
  }
  return text;
}
