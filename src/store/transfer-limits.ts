/**
 * How many bytes a second may go to stores and come from them. The limits belong to the process: threads inherit them,
 * and what is granted is counted in memory that all of them share.
 */
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

export interface RateLimit {
  readonly bytesPerSecond: number;
  /** One word: when all that was granted so far is paid for, in microseconds since 1970. */
  readonly paidUntilUs: SharedArrayBuffer;
}

/** undefined: as fast as it goes. */
export interface TransferLimits {
  readonly upload?: RateLimit | undefined;
  readonly download?: RateLimit | undefined;
}

const dataKey = 'holdfast transfer limits';

export function rateLimit(bytesPerSecond: number): RateLimit {
  return { bytesPerSecond, paidUntilUs: new SharedArrayBuffer(8) };
}

/** For every store that this thread opens from now on, and every thread that it starts. */
export function setTransferLimits(limits: TransferLimits): void {
  setEnvironmentData(dataKey, limits);
}

export function transferLimits(): TransferLimits {
  return (getEnvironmentData(dataKey) as TransferLimits | undefined) ?? {};
}

/**
 * Charges bytes to the limit; when they may go, in milliseconds since 1970. Turns are given in the order of the calls,
 * over all threads; who pauses is not paid back, so that no burst follows.
 */
export function takeTurn({ bytesPerSecond, paidUntilUs }: RateLimit, bytes: number, nowMs: number): number {
  const paid = new BigInt64Array(paidUntilUs);
  const costUs = BigInt(Math.ceil((bytes * 1e6) / bytesPerSecond));
  const nowUs = BigInt(Math.floor(nowMs * 1000));
  for (;;) {
    const until = Atomics.load(paid, 0);
    const startUs = until > nowUs ? until : nowUs;
    if (Atomics.compareExchange(paid, 0, until, startUs + costUs) === until) return Number(startUs) / 1000;
  }
}
