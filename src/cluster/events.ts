/**
 * Why something in the cluster does not get on: the warnings that its controllers left as events.
 */
import { isDenied } from './api-error.ts';
import type { Cluster } from './client.ts';
import { textAt } from './object.ts';
import { EVENT } from './resources.ts';

/** The newest warnings about an object, each once, newest first. Empty where events may not be read. */
export async function warningsAbout(cluster: Cluster, namespace: string, uid: string, most = 3): Promise<string[]> {
  const fieldSelector = `involvedObject.uid=${uid},type=Warning`;
  try {
    const events = await cluster.list(EVENT, { namespace, fieldSelector });
    const dated = events.map((event) => ({
      timeMs: Date.parse(textAt(event, 'lastTimestamp') ?? textAt(event, 'eventTime') ?? '') || 0,
      text: `${textAt(event, 'reason') ?? 'Warning'}: ${textAt(event, 'message') ?? ''}`.trim(),
    }));
    dated.sort((one, other) => other.timeMs - one.timeMs);
    return [...new Set(dated.map(({ text }) => text))].slice(0, most);
  } catch (error) {
    if (isDenied(error)) return [];
    throw error;
  }
}
