import { expect, test } from 'vitest';
import { allEnded, Rooms } from '../../src/backup/limits.ts';

interface Step {
  readonly name: string;
  readonly node: string;
}

/** Runs that end when they are told to. */
function stage() {
  const running = new Map<string, (error?: Error) => void>();
  const started: string[] = [];
  const run = ({ name }: Step) =>
    new Promise<string>((resolve, reject) => {
      started.push(name);
      running.set(name, (error) => (error ? reject(error) : resolve(`${name} done`)));
    });
  const end = async (name: string, error?: Error) => {
    running.get(name)?.(error);
    running.delete(name);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { started, run, end };
}

const rooms = ({ node }: Step) => [
  { key: 'all', limit: 3 },
  { key: `node ${node}`, limit: 1 },
];
/** All steps, each as soon as it may. */
function runAll(steps: readonly Step[], run: (step: Step) => Promise<string>): Promise<string[]> {
  const places = new Rooms();
  return allEnded(steps.map((step) => places.within(rooms(step), () => run(step))));
}

const steps: Step[] = [
  { name: 'one', node: 'a' },
  { name: 'two', node: 'a' },
  { name: 'three', node: 'b' },
  { name: 'four', node: 'c' },
  { name: 'five', node: 'd' },
];

test('what has to wait for its own room holds up nothing behind it, and no room is ever too full', async () => {
  const { started, run, end } = stage();
  const all = runAll(steps, run);
  expect(started).toEqual(['one', 'three', 'four']);
  await end('three');
  expect(started).toEqual(['one', 'three', 'four', 'five']);
  await end('one');
  expect(started).toEqual(['one', 'three', 'four', 'five', 'two']);
  for (const name of ['two', 'four', 'five']) await end(name);
  // In the order of the items, however they ended.
  expect(await all).toEqual(['one done', 'two done', 'three done', 'four done', 'five done']);
});

test('after an error nothing new starts, and what is under way comes to its end first', async () => {
  const { started, run, end } = stage();
  const all = runAll(steps, run);
  const outcome = all.catch((error: Error) => error.message);
  await end('three', new Error('broken'));
  expect(started).toEqual(['one', 'three', 'four']);
  await end('one');
  await end('four');
  expect(await outcome).toBe('broken');
  expect(started).toHaveLength(3);
});

test('nothing to do is done at once', async () => {
  expect(await runAll([], async () => 'never')).toEqual([]);
});

test('what belongs to something begun comes before all that wait, in its own order, and still not before its room has place', async () => {
  const { started, run, end } = stage();
  const places = new Rooms();
  const all = steps.map((step) => places.within(rooms(step), () => run(step)));
  const next = (name: string, node: string) => places.within(rooms({ name, node }), () => run({ name, node }), 'first');
  const first = [next('member a', 'a'), next('member e', 'e'), next('member f', 'f')];
  expect(started).toEqual(['one', 'three', 'four']);
  await end('three');
  await end('four');
  expect(started.slice(3)).toEqual(['member e', 'member f']);
  await end('one');
  expect(started.slice(5)).toEqual(['member a']);
  for (const name of ['member a', 'member e', 'member f', 'two', 'five']) await end(name);
  expect(await Promise.all([...all, ...first])).toHaveLength(8);
});
