/**
 * What each step of the hot path costs, in CPU time (so that a busy machine matters less):
 *   node bench/codec.ts [seconds per line]
 */
import { randomBytes } from 'node:crypto';
import { type BlobCodec, createBlobCodec, looksIncompressible } from '../src/repository/blob-codec.ts';
import { type ChunkerKind, createChunker } from '../src/repository/chunker/chunker.ts';

const secondsPerLine = Number(process.argv[2] ?? 0.4);
const key = { encrypt: randomBytes(32), macK: randomBytes(16), macR: randomBytes(16) };

/** Log lines with numbers that change: zstd level 1 makes about a sixth of it. */
function logs(sizeBytes: number): Buffer {
  let text = '';
  for (let i = 0; text.length < sizeBytes; i++) {
    const user = (i * 2654435761) % 9973;
    text += `2026-11-22T18:${String(i % 60).padStart(2, '0')}:07.${i % 1000}Z INFO request path=/api/v1/users/${user} status=${i % 7 === 0 ? 404 : 200} bytes=${(user * 31) % 65536} trace=${(user * 48271).toString(16)}\n`;
  }
  return Buffer.from(text.slice(0, sizeBytes), 'latin1');
}

function measure(name: string, bytes: number, run: () => void): void {
  for (let i = 0; i < 20; i++) run();
  const end = performance.now() + secondsPerLine * 1000;
  const before = process.cpuUsage();
  let runs = 0;
  while (performance.now() < end) {
    run();
    runs++;
  }
  const { user, system } = process.cpuUsage(before);
  const usPerRun = (user + system) / runs;
  console.log(
    `${name.padEnd(44)} ${usPerRun.toFixed(1).padStart(10)} µs ${(bytes / usPerRun / 1000).toFixed(2).padStart(8)} GB/s`,
  );
}

function measureChunker(kind: ChunkerKind, name: string, fill: (buffer: Buffer) => void): void {
  const sizeBytes = 16 * 1024 * 1024;
  const chunker = createChunker({ polynomial: 0x3da3358b4dc173n, kind }, sizeBytes);
  fill(chunker.buffer.subarray(0, sizeBytes));
  measure(`cut ${kind}, ${name}`, sizeBytes, () => {
    chunker.reset();
    for (let at = 0; at < sizeBytes; ) at += chunker.next(at, sizeBytes, true);
  });
}

function measureCodec(codec: BlobCodec, unverified: BlobCodec, name: string, data: Buffer): void {
  const label = (step: string) => `${codec.kind}: ${step}, ${name}`;
  const out = Buffer.alloc(data.length + 4096);
  measure(label('hash'), data.length, () => codec.hash(data, out, 0));
  measure(label('compress level 1'), data.length, () => unverified.compress(data, out, 16, 1));
  measure(label('compress level 1, verified'), data.length, () => codec.compress(data, out, 16, 1));
  const frame = Buffer.alloc(data.length);
  const frameBytes = codec.compress(data, frame, 0, 1);
  if (frameBytes > 0) {
    measure(label('decompress'), data.length, () =>
      codec.decompress(frame.subarray(0, frameBytes), out.subarray(0, data.length)),
    );
  }
  measure(label('seal'), data.length, () => codec.sealInPlace(out, 0, data.length));
  measure(label('seal from elsewhere'), data.length, () => codec.sealFrom(data, out, 0));
  const sealed = out.subarray(0, data.length + 32);
  measure(label('open'), data.length, () => codec.open(sealed, frame));
}

const natural = createBlobCodec(key);
console.log(`codec chosen here: ${natural.kind}; ${process.version}, ${process.arch}`);
for (const kind of ['gear-v1', 'rabin'] as const) {
  measureChunker(kind, 'random', (buffer) => randomBytes(buffer.length).copy(buffer));
  measureChunker(kind, 'logs', (buffer) => logs(buffer.length).copy(buffer));
  measureChunker(kind, 'zeros', (buffer) => buffer.fill(0));
}
const samples: [string, Buffer][] = [
  ['5 KB logs', logs(5000)],
  ['1.5 MiB logs', logs(1536 * 1024)],
  ['1.5 MiB random', randomBytes(1536 * 1024)],
];
for (const [name, data] of samples) {
  measure(`entropy test, ${name}`, data.length, () => looksIncompressible(data));
}
for (const kind of ['native', 'plain'] as const) {
  const codec = createBlobCodec(key, { kind });
  const unverified = createBlobCodec(key, { kind, verify: false });
  for (const [name, data] of samples) measureCodec(codec, unverified, name, data);
}
