/** The container whose mount of a claim ExecStream reads: one that runs and has all of the volume. Pure. */
import { isRecord, type KubeObject, listAt, textAt, valueAt } from '../cluster/object.ts';
import { claimNameOf } from './gather-facts.ts';

export interface ConsumerMount {
  readonly pod: string;
  readonly container: string;
  /** Where the whole volume is mounted. */
  readonly folder: string;
  readonly node: string | undefined;
}

/** The first that will do, pods that are ready before others; or in words why none does. */
export function findConsumerMount(pods: readonly KubeObject[], claimName: string): ConsumerMount | string {
  const running = pods
    .filter((pod) => pod.metadata.deletionTimestamp === undefined && textAt(pod, 'status', 'phase') === 'Running')
    .toSorted((one, other) => Number(isReady(other)) - Number(isReady(one)));
  const reasons: string[] = [];
  for (const pod of running) {
    const found = mountIn(pod, claimName, reasons);
    if (found !== undefined) return found;
  }
  if (running.length === 0) return 'no pod that uses it is running';
  return reasons.join('; ') || 'no container has it mounted';
}

function mountIn(pod: KubeObject, claimName: string, reasons: string[]): ConsumerMount | undefined {
  const volumes = listAt(pod, 'spec', 'volumes').filter((volume) => claimNameOf(pod, volume) === claimName);
  const names = new Set(volumes.map((volume) => textAt(volume, 'name')));
  for (const container of listAt(pod, 'spec', 'containers')) {
    const name = textAt(container, 'name') ?? '';
    const mounts = listAt(container, 'volumeMounts').filter((mount) => names.has(textAt(mount, 'name')));
    if (mounts.length === 0) continue;
    const whole = mounts.find((mount) => !textAt(mount, 'subPath') && !textAt(mount, 'subPathExpr'));
    const place = `container ${name} of pod ${pod.metadata.name}`;
    if (whole === undefined) reasons.push(`${place} has only a folder of it (subPath)`);
    else if (!isRunning(pod, name)) reasons.push(`${place} is not running`);
    else {
      const folder = textAt(whole, 'mountPath') ?? '/';
      return { pod: pod.metadata.name, container: name, folder, node: textAt(pod, 'spec', 'nodeName') };
    }
  }
  return undefined;
}

function isRunning(pod: KubeObject, container: string): boolean {
  const status = listAt(pod, 'status', 'containerStatuses').find((one) => textAt(one, 'name') === container);
  return isRecord(valueAt(status, 'state', 'running'));
}

function isReady(pod: KubeObject): boolean {
  const ready = listAt(pod, 'status', 'conditions').find((one) => textAt(one, 'type') === 'Ready');
  return textAt(ready, 'status') === 'True';
}
