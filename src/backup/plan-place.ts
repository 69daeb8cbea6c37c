/** On which nodes the mover of a backup runs, and why there. Pure. */
import type { HoldfastError } from '../base/errors.ts';
import { type KubeObject, listAt, textAt } from '../cluster/object.ts';
import { volumeSchema } from '../manifest/kube-shapes.ts';
import { topologyOf } from '../manifest/topology.ts';
import { type ConsumerMount, findConsumerMount } from './consumer-mount.ts';
import type { ClaimFacts, ClusterFacts, NodeFacts } from './facts.ts';
import { type MethodChoice, refusedCopy, refusedStream, unsupported } from './plan-method.ts';
import { type BackupSource, nodeSelectorOf } from './source.ts';

export interface MoverPlace {
  /** A required node affinity; undefined: the scheduler is free, or follows the volume. */
  readonly selector: unknown;
  /** "zone b", "node node-b", "anywhere". */
  readonly words: string;
  readonly reason: string;
  /** Of a stream: the container that it comes from. There is no mover. */
  readonly consumer?: ConsumerMount;
  /** What may keep the mover from starting there now. */
  readonly note?: string | undefined;
}

/** LIVE_COPY_REFUSED where the volume cannot be mounted beside its pods. */
export function choosePlace(
  facts: ClaimFacts,
  source: BackupSource,
  choice: MethodChoice,
  cluster: ClusterFacts,
): MoverPlace | HoldfastError {
  if (choice.method === 'ExecStream') return inConsumer(facts, source, choice.instead);
  if (choice.method === 'FileCopy') return besidePods(facts, source, cluster);
  if (choice.method === 'Snapshot') {
    return { selector: undefined, words: 'none', reason: 'nothing is moved: the data stays in the storage system' };
  }
  // Such a class chooses the place itself, and the mover follows the volume.
  if (textAt(choice.storageClass, 'volumeBindingMode') !== 'WaitForFirstConsumer') {
    const reason = `the storage class ${choice.storageClass.metadata.name} binds at once and chooses the place`;
    return { selector: undefined, words: 'where its copy is made', reason };
  }
  return whereVolumeIs(source, cluster, 'some snapshots can be read only where their volume is');
}

/** The node on which the volume is: one for a volume of one node, else any that reaches it (R6.2). */
function besidePods(facts: ClaimFacts, source: BackupSource, cluster: ClusterFacts): MoverPlace | HoldfastError {
  const reach = whereVolumeIs(source, cluster, 'its volume can be reached there');
  if (isShared(source)) return reach;
  const moving = facts.pods.find((pod) => isMoving(pod));
  if (moving !== undefined) {
    const state = moving.metadata.deletionTimestamp === undefined ? 'waits for a node' : 'is being stopped';
    return refusedCopy(source.title, `its pod ${moving.metadata.name} ${state}, and would be kept from its volume`);
  }
  const nodes = [...new Set(facts.pods.flatMap((pod) => textAt(pod, 'spec', 'nodeName') ?? []))];
  if (nodes.length > 1) return refusedCopy(source.title, `its pods are on several nodes (${nodes.join(', ')})`);
  const node = nodes[0] ?? facts.attachedNode;
  if (node === undefined) return reach;
  if (cluster.nodes?.some(({ name, ready }) => name === node && !ready) === true) {
    return refusedCopy(source.title, `its node ${node} is not ready`);
  }
  const reason = nodes[0] === undefined ? 'its volume is attached there' : 'the pods that use it are there';
  return { selector: onNode(node), words: `node ${node}`, reason };
}

/** The container that writes the stream; this process reads it. */
function inConsumer({ pods }: ClaimFacts, source: BackupSource, instead?: string): MoverPlace | HoldfastError {
  const consumer = findConsumerMount(pods, source.claim.metadata.name);
  if (typeof consumer === 'string') {
    return instead === undefined
      ? refusedStream(source.title, consumer)
      : unsupported(source, `${instead}; ${consumer}, out of which its files could be streamed`);
  }
  const words = `container ${consumer.container} of pod ${consumer.pod}`;
  return { selector: undefined, words, reason: `it has the volume at ${consumer.folder}`, consumer };
}

/** Whether several nodes may have the volume at once. */
export function isShared({ accessModes }: Pick<BackupSource, 'accessModes'>): boolean {
  return accessModes.includes('ReadWriteMany') || accessModes.includes('ReadOnlyMany');
}

/** A pod that is about to use a volume elsewhere, or to leave it. */
function isMoving(pod: KubeObject): boolean {
  return pod.metadata.deletionTimestamp !== undefined || textAt(pod, 'spec', 'nodeName') === undefined;
}

function onNode(name: string): object {
  return { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [name] }] }] };
}

function whereVolumeIs(source: BackupSource, cluster: ClusterFacts, reason: string): MoverPlace {
  const selector = nodeSelectorOf(source.volume);
  if (selector === undefined) return { selector, words: 'anywhere', reason: 'its volume is tied to no place' };
  const { zones, regions, hosts } = topologyOf(volumeSchema.parse(source.volume), null);
  const [kind, names] = zones.length > 0 ? ['zone', zones] : hosts.length > 0 ? ['node', hosts] : ['region', regions];
  const words = names.length === 0 ? 'where its volume is' : `${kind} ${names.join(' or ')}`;
  const reaching = cluster.nodes?.filter((node) => node.ready && reaches(node, selector, source.driver));
  const note =
    reaching?.length === 0
      ? `no ready node ${words === 'where its volume is' ? 'there' : `in ${words}`} can have the volume now; the mover waits for one`
      : undefined;
  return { selector, words, reason, note };
}

function reaches(node: NodeFacts, selector: unknown, driver: string | undefined): boolean {
  if (driver !== undefined && !node.drivers.includes(driver)) return false;
  const terms = listAt(selector, 'nodeSelectorTerms');
  return terms.some((term) => listAt(term, 'matchExpressions').every((expression) => holds(expression, node.labels)));
}

function holds(expression: unknown, labels: Readonly<Record<string, string>>): boolean {
  const value = labels[textAt(expression, 'key') ?? ''];
  const values = listAt(expression, 'values');
  switch (textAt(expression, 'operator')) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      // Gt and Lt are not used for places.
      return true;
  }
}
