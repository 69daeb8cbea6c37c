/** A bridge of the host and, for each node, a network namespace with one link into it. */
import { runCommand } from './commands.ts';
import type { ClusterLayout, NodeLayout } from './layout.ts';
import { inNetworkOf } from './members.ts';

const ip = (...args: string[]) => runCommand('ip', args);

export async function startBridge({ bridge, hostAddress }: ClusterLayout): Promise<void> {
  await ip('link', 'add', bridge, 'type', 'bridge');
  await ip('addr', 'add', `${hostAddress}/24`, 'dev', bridge);
  await ip('link', 'set', bridge, 'up');
}

/**
 * The node's link into the bridge is its only way out: setting it down makes the node unreachable, as a lost machine.
 * The default route leads nowhere but is needed: without one a service address is refused before it is translated.
 */
export async function connectNode(layout: ClusterLayout, node: NodeLayout): Promise<void> {
  const { namespace, link, address } = node;
  await ip('netns', 'add', namespace);
  await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
  await ip('link', 'set', link, 'master', layout.bridge, 'up');
  await ip('-n', namespace, 'link', 'set', 'lo', 'up');
  await ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
  await ip('-n', namespace, 'link', 'set', 'eth0', 'up');
  for (const other of layout.nodes) {
    if (other !== node) await ip('-n', namespace, 'route', 'add', `${other.podNetwork}.0/24`, 'via', other.address);
  }
  await ip('-n', namespace, 'route', 'add', 'default', 'via', layout.hostAddress);
  const [file, ...args] = inNetworkOf(namespace, ['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  await runCommand(file, args);
  // The host reaches pods, as a test may want to.
  await ip('route', 'replace', `${node.podNetwork}.0/24`, 'via', address, 'dev', layout.bridge);
}
