/** Fetches the ranges of packs that the jobs of one thread need, ahead of their use and in bounded memory. */
import type { Store } from '../store/store.ts';
import type { RestoreJob } from './restore-job.ts';

/** Blobs with less than this between them are fetched together, as restic does it. */
const gapLimitBytes = 1 << 20;
const requestLimitBytes = 32 << 20;
/** In flight or waiting to be used; one request may always run. */
const aheadLimitBytes = 32 << 20;
const aheadLimitRequests = 4;

/** A range of a pack with the blobs [firstBlob, endBlob) of a job. */
export interface Segment {
  readonly offset: number;
  readonly length: number;
  readonly firstBlob: number;
  readonly endBlob: number;
}

/** `spans` as in RestoreJob: ascending by offset. */
export function planSegments(spans: Uint32Array): Segment[] {
  const segments: Segment[] = [];
  let firstBlob = 0;
  let end = 0;
  const blobCount = spans.length / 3;
  for (let blob = 0; blob < blobCount; blob++) {
    const offset = spans[3 * blob]!;
    const blobEnd = offset + spans[3 * blob + 1]!;
    const start = spans[3 * firstBlob]!;
    if (blob > firstBlob && (offset > end + gapLimitBytes || blobEnd > start + requestLimitBytes)) {
      segments.push({ offset: start, length: end - start, firstBlob, endBlob: blob });
      firstBlob = blob;
      end = 0;
    }
    end = Math.max(end, blobEnd);
  }
  if (blobCount > 0) {
    const start = spans[3 * firstBlob]!;
    segments.push({ offset: start, length: end - start, firstBlob, endBlob: blobCount });
  }
  return segments;
}

export interface FetchedSegment {
  readonly job: RestoreJob;
  /** undefined for a job without content. */
  readonly segment: Segment | undefined;
  readonly isFirst: boolean;
  readonly isLast: boolean;
  /** The bytes, or why there are none. */
  readonly outcome: { readonly bytes: Buffer } | { readonly error: unknown };
}

interface Request {
  readonly job: RestoreJob;
  readonly segment: Segment | undefined;
  readonly isFirst: boolean;
  readonly isLast: boolean;
  outcome: Promise<FetchedSegment['outcome']> | undefined;
}

export class ReadAhead {
  readonly #store: Store;
  readonly #queue: Request[] = [];
  #startedRequests = 0;
  #startedBytes = 0;
  #wake: (() => void) | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  add(job: RestoreJob): void {
    const segments: (Segment | undefined)[] = planSegments(job.blobSpans);
    if (segments.length === 0) segments.push(undefined);
    segments.forEach((segment, index) => {
      const isLast = index === segments.length - 1;
      this.#queue.push({ job, segment, isFirst: index === 0, isLast, outcome: undefined });
    });
    this.#startWhatFits();
    this.#wake?.();
  }

  /** Segments in the order of their jobs; waits for the next job when there is none. Call it again only after using the last. */
  async next(): Promise<FetchedSegment> {
    while (this.#queue.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#startWhatFits();
    const request = this.#queue[0]!;
    const outcome = await request.outcome!;
    this.#queue.shift();
    this.#startedRequests -= 1;
    this.#startedBytes -= request.segment?.length ?? 0;
    this.#startWhatFits();
    const { job, segment, isFirst, isLast } = request;
    return { job, segment, isFirst, isLast, outcome };
  }

  #startWhatFits(): void {
    while (this.#startedRequests < Math.min(aheadLimitRequests, this.#queue.length)) {
      const request = this.#queue[this.#startedRequests]!;
      const length = request.segment?.length ?? 0;
      if (this.#startedRequests > 0 && this.#startedBytes + length > aheadLimitBytes) return;
      this.#startedRequests += 1;
      this.#startedBytes += length;
      request.outcome = this.#fetch(request);
    }
  }

  async #fetch({ job, segment }: Request): Promise<FetchedSegment['outcome']> {
    if (!segment) return { bytes: Buffer.alloc(0) };
    const { offset, length } = segment;
    try {
      return { bytes: await this.#store.get('data', job.packId, { offset, length }) };
    } catch (error) {
      return { error };
    }
  }
}
