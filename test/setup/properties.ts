/**
 * What must hold for all inputs, tried on many that are drawn by chance. Each run draws others and prints their seed when
 * one fails; HOLDFAST_TEST_SEED=<seed> draws the same again, HOLDFAST_TEST_FULL=1 draws a hundred times as many.
 */
import fc from 'fast-check';

const given = Number(process.env.HOLDFAST_TEST_SEED);
export const isFull = process.env.HOLDFAST_TEST_FULL === '1';
/** The same for all that is drawn in this process. */
export const seed = process.env.HOLDFAST_TEST_SEED ? given : Date.now() | 0;

/** How many inputs are drawn, of what a quick run draws. */
export function runsOf(quick: number): number {
  return isFull ? quick * 100 : quick;
}

/** Throws with the seed and the smallest input for which it fails. */
export function holds<Inputs extends [unknown, ...unknown[]]>(property: fc.IProperty<Inputs>, quick = 300): void {
  fc.assert(property, { seed, numRuns: runsOf(quick), endOnFailure: isFull });
}

/** As holds, for what takes its time. */
export async function holdsAsync<Inputs extends [unknown, ...unknown[]]>(
  property: fc.IAsyncProperty<Inputs>,
  quick: number,
): Promise<void> {
  await fc.assert(property, { seed, numRuns: runsOf(quick), endOnFailure: true });
}
