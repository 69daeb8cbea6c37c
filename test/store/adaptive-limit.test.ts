import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { AdaptiveLimit } from '../../src/store/adaptive-limit.ts';

const never = new AbortController().signal;
const busy = (waitMs?: number) =>
  new HoldfastError('STORE_BUSY', {
    url: 'x',
    operation: 'x',
    reason: 'x',
    ...(waitMs === undefined ? {} : { waitMs }),
  });

function quickClock() {
  const pausesMs: number[] = [];
  let nowMs = 0;
  const sleep = async (durationMs: number) => {
    pausesMs.push(durationMs);
    nowMs += durationMs;
  };
  return { pausesMs, nowMs: () => nowMs, sleep };
}

/** Starts so many requests at once, each failing or not, and tells how many were under way at most. */
async function wave(limit: AdaptiveLimit, count: number, outcome: () => void = () => undefined): Promise<number> {
  let running = 0;
  let most = 0;
  const request = () =>
    limit.run(async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      outcome();
    }, never);
  await Promise.allSettled(Array.from({ length: count }, request));
  return most;
}

const fail = (error: Error) => () => {
  throw error;
};

test('a server that says nothing gets as many requests as allowed', async () => {
  const limit = new AdaptiveLimit(16, quickClock());
  expect(await wave(limit, 50)).toBe(16);
  expect(limit.limit).toBe(16);
});

test('one that is overloaded gets half as many, once for all that were under way', async () => {
  const limit = new AdaptiveLimit(16, quickClock());
  await wave(limit, 16, fail(busy()));
  expect(limit.limit).toBe(8);
  await wave(limit, 8, fail(busy()));
  expect(limit.limit).toBe(4);
  for (let round = 0; round < 5; round += 1) await wave(limit, 4, fail(busy()));
  expect(limit.limit).toBe(1);
  expect(await wave(limit, 3)).toBeLessThanOrEqual(3);
});

test('what goes well makes room again, bit by bit', async () => {
  const limit = new AdaptiveLimit(8, quickClock());
  for (let round = 0; round < 3; round += 1) await wave(limit, 8, fail(busy()));
  expect(limit.limit).toBe(1);
  await wave(limit, 1);
  expect(limit.limit).toBe(2);
  await wave(limit, 2);
  expect(limit.limit).toBe(3);
  await wave(limit, 200);
  expect(limit.limit).toBe(8);
});

test('other failures say nothing of load', async () => {
  const limit = new AdaptiveLimit(8, quickClock());
  await wave(limit, 8, fail(new HoldfastError('STORE_UNREACHABLE', { url: 'x', reason: 'x' })));
  expect(limit.limit).toBe(8);
});

test('nobody starts before the time that the server named', async () => {
  const clock = quickClock();
  const limit = new AdaptiveLimit(8, clock);
  await wave(limit, 1, fail(busy(7000)));
  await limit.run(async () => expect(clock.nowMs()).toBe(7000), never);
  expect(clock.pausesMs).toEqual([7000]);
});

test('an end of the wait by a signal leaves the room to others', async () => {
  const closing = new AbortController();
  const clock = { nowMs: () => 0, sleep: () => Promise.reject(new Error('closed')) };
  const limit = new AdaptiveLimit(1, clock);
  await wave(limit, 1, fail(busy(1000)));
  await expect(limit.run(async () => undefined, closing.signal)).rejects.toThrow('closed');
  await expect(limit.run(async () => undefined, closing.signal)).rejects.toThrow('closed');
});
