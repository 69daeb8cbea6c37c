/** Bounds on how many claims of a run are backed up at the same time: in all, and of one node, storage class or driver. */

export interface Room {
  /** Such as `node node-a`. */
  readonly key: string;
  readonly limit: number;
}

/**
 * The results of `run` in the order of the items. An item starts as soon as each of its rooms has place; one that has to
 * wait holds up none behind it that need not. After the first error nothing new is started; it is thrown when the calls
 * under way have ended.
 */
export async function runInRooms<T, R>(
  items: readonly T[],
  roomsOf: (item: T) => readonly Room[],
  run: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const waiting = items.map((item, position) => ({ item, position, rooms: roomsOf(item) }));
  const taken = new Map<string, number>();
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const hasPlace = ({ key, limit }: Room): boolean => (taken.get(key) ?? 0) < limit;
  const change = (rooms: readonly Room[], by: number): void => {
    for (const { key } of rooms) taken.set(key, (taken.get(key) ?? 0) + by);
  };
  while ((waiting.length > 0 && failures.length === 0) || running.size > 0) {
    const next = failures.length > 0 ? -1 : waiting.findIndex(({ rooms }) => rooms.every(hasPlace));
    const [found] = next < 0 ? [] : waiting.splice(next, 1);
    if (found === undefined) {
      await Promise.race(running);
      continue;
    }
    change(found.rooms, 1);
    const call: Promise<void> = run(found.item)
      .then(
        (result) => {
          results[found.position] = result;
        },
        (error: unknown) => {
          failures.push(error);
        },
      )
      .finally(() => {
        change(found.rooms, -1);
        running.delete(call);
      });
    running.add(call);
  }
  if (failures.length > 0) throw failures[0];
  return results;
}
