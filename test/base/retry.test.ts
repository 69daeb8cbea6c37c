import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { withRetry } from '../../src/base/retry.ts';

const unreachable = new HoldfastError('STORE_UNREACHABLE', { url: 'x', reason: 'refused' });

/** A sleep that only writes down how long it was asked to take. */
function recordedSleep() {
  const pausesMs: number[] = [];
  return { pausesMs, sleep: async (durationMs: number) => void pausesMs.push(durationMs) };
}

test('the result of the first success is returned, after pauses that double up to the longest allowed', async () => {
  const { pausesMs, sleep } = recordedSleep();
  const result = await withRetry(
    async (attempt) => {
      if (attempt < 6) throw unreachable;
      return `attempt ${attempt}`;
    },
    { attempts: 10, baseMs: 100, maxMs: 500, sleep, random: () => 1 },
  );
  expect(result).toBe('attempt 6');
  expect(pausesMs).toEqual([100, 200, 400, 500, 500]);
});

test('a pause is never shorter than half of its nominal length', async () => {
  const { pausesMs, sleep } = recordedSleep();
  const options = { attempts: 3, baseMs: 100, maxMs: 500, sleep, random: () => 0 };
  await expect(withRetry(() => Promise.reject(unreachable), options)).rejects.toBe(unreachable);
  expect(pausesMs).toEqual([50, 100]);
});

test('an error that cannot pass is thrown at once', async () => {
  const denied = new HoldfastError('STORE_DENIED', { url: 'x', operation: 'read', reason: 'no' });
  const { pausesMs, sleep } = recordedSleep();
  await expect(withRetry(() => Promise.reject(denied), { attempts: 9, baseMs: 1, maxMs: 1, sleep })).rejects.toBe(
    denied,
  );
  const bug = new TypeError('bug');
  await expect(withRetry(() => Promise.reject(bug), { attempts: 9, baseMs: 1, maxMs: 1, sleep })).rejects.toBe(bug);
  expect(pausesMs).toEqual([]);
});

test('an aborted signal ends the pause with its reason', async () => {
  const controller = new AbortController();
  const reason = new Error('stop');
  const run = withRetry(() => Promise.reject(unreachable), {
    attempts: 9,
    baseMs: 3_600_000,
    maxMs: 3_600_000,
    signal: controller.signal,
    onRetry: () => setImmediate(() => controller.abort(reason)),
  });
  await expect(run).rejects.toBe(reason);
});

test('every failure that is tried again is reported', async () => {
  const { sleep } = recordedSleep();
  const seen: number[] = [];
  const options = {
    attempts: 3,
    baseMs: 8,
    maxMs: 8,
    sleep,
    onRetry: (_: unknown, attempt: number) => void seen.push(attempt),
  };
  await expect(withRetry(() => Promise.reject(unreachable), options)).rejects.toBe(unreachable);
  expect(seen).toEqual([1, 2]);
});
