import { expect, test } from 'vitest';
import { mapLimited, Semaphore } from '../../src/base/concurrency.ts';

test('a semaphore serves waiters in the order they came, also when a smaller one would fit', async () => {
  const semaphore = new Semaphore(10);
  const order: string[] = [];
  await semaphore.acquire(8);
  const large = semaphore.acquire(6).then(() => order.push('large'));
  const small = semaphore.acquire(1).then(() => order.push('small'));
  await Promise.resolve();
  expect(order).toEqual([]);
  semaphore.release(8);
  await Promise.all([large, small]);
  expect(order).toEqual(['large', 'small']);
  expect(semaphore.free).toBe(3);
});

test('more than the limit waits until it is alone, and gives back what it took', async () => {
  const semaphore = new Semaphore(4);
  await semaphore.acquire(1);
  let granted = false;
  const huge = semaphore.acquire(1000).then(() => {
    granted = true;
  });
  await Promise.resolve();
  expect(granted).toBe(false);
  semaphore.release(1);
  await huge;
  expect(semaphore.free).toBe(0);
  semaphore.release(1000);
  expect(semaphore.free).toBe(4);
});

test('a semaphore that is released too often says so', () => {
  expect(() => new Semaphore(1).release()).toThrow(TypeError);
});

test('run gives its units back when the work throws', async () => {
  const semaphore = new Semaphore(3);
  await expect(semaphore.run(() => Promise.reject(new Error('x')), 2)).rejects.toThrow('x');
  expect(semaphore.free).toBe(3);
});

test('mapLimited keeps the order of the items and never runs more than its limit', async () => {
  let running = 0;
  let most = 0;
  const doubled = await mapLimited([5, 1, 4, 2, 3], 2, async (n) => {
    running += 1;
    most = Math.max(most, running);
    for (let turn = 0; turn < n; turn += 1) await new Promise(setImmediate);
    running -= 1;
    return n * 2;
  });
  expect(doubled).toEqual([10, 2, 8, 4, 6]);
  expect(most).toBe(2);
});

test('mapLimited starts nothing after an error and throws when the calls under way have ended', async () => {
  const started: number[] = [];
  const ended: number[] = [];
  const run = mapLimited([0, 1, 2, 3, 4], 2, async (n) => {
    started.push(n);
    if (n === 1) throw new Error('second failed');
    for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
    ended.push(n);
  });
  await expect(run).rejects.toThrow('second failed');
  expect(started).toEqual([0, 1]);
  expect(ended).toEqual([0]);
});

test('mapLimited passes on the error of its source', async () => {
  async function* source() {
    yield 1;
    throw new Error('source failed');
  }
  await expect(mapLimited(source(), 2, async () => 1)).rejects.toThrow('source failed');
});
