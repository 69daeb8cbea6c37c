/** Fetches the ranges of packs that the jobs of one thread need, ahead of their use and in bounded memory. */
import type { Store } from '../store/store.ts';
import type { JobCheck } from './restore-check.ts';
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

/** `spans` as in RestoreJob: ascending by offset. Of the blobs only those with 1 in `isNeeded`, where it is given. */
export function planSegments(spans: Uint32Array, isNeeded?: Uint8Array): Segment[] {
  const segments: Segment[] = [];
  let segment: Segment | undefined;
  const blobCount = spans.length / 3;
  for (let blob = 0; blob < blobCount; blob++) {
    if (isNeeded && isNeeded[blob] === 0) continue;
    const offset = spans[3 * blob]!;
    const end = offset + spans[3 * blob + 1]!;
    if (
      segment &&
      offset <= segment.offset + segment.length + gapLimitBytes &&
      end <= segment.offset + requestLimitBytes
    ) {
      segment = { ...segment, length: Math.max(segment.length, end - segment.offset), endBlob: blob + 1 };
      segments[segments.length - 1] = segment;
    } else {
      segment = { offset, length: end - offset, firstBlob: blob, endBlob: blob + 1 };
      segments.push(segment);
    }
  }
  return segments;
}

export interface FetchedSegment {
  readonly job: RestoreJob;
  readonly check: JobCheck | undefined;
  /** undefined for a job that needs nothing. */
  readonly segment: Segment | undefined;
  readonly isFirst: boolean;
  readonly isLast: boolean;
  /** The bytes, or why there are none. */
  readonly outcome: { readonly bytes: Buffer } | { readonly error: unknown };
}

interface Request {
  readonly job: RestoreJob;
  readonly check: JobCheck | undefined;
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

  /** With a check, only what it says is needed. */
  add(job: RestoreJob, check?: JobCheck): void {
    const segments: (Segment | undefined)[] = planSegments(job.blobSpans, check?.isNeeded);
    if (segments.length === 0) segments.push(undefined);
    segments.forEach((segment, index) => {
      const isLast = index === segments.length - 1;
      this.#queue.push({ job, check, segment, isFirst: index === 0, isLast, outcome: undefined });
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
    const { job, check, segment, isFirst, isLast } = request;
    return { job, check, segment, isFirst, isLast, outcome };
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
