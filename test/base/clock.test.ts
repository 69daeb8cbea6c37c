import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';

test('a sleep ends with the reason of its signal, before or during it', async () => {
  const reason = new Error('stop');
  await expect(systemClock.sleep(3_600_000, AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const sleeping = systemClock.sleep(3_600_000, controller.signal);
  controller.abort(reason);
  await expect(sleeping).rejects.toBe(reason);
});

test('a sleep without abort takes its time', async () => {
  const fromMs = systemClock.nowMs();
  await systemClock.sleep(20, new AbortController().signal);
  // Timers may fire up to a millisecond early.
  expect(systemClock.nowMs() - fromMs).toBeGreaterThanOrEqual(19);
});
