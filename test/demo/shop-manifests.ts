/** The shop as it runs in a cluster: a claim, a pod that fills it, and later one that reads it. */
import { stringify } from 'yaml';

export const zone = 'b';

/** Says what is on the volume: every path with owner, mode and time, and the sums of the contents. */
export const describeVolume = [
  'cd /data',
  'find . ! -path . -exec stat -c "%n %F %a %u:%g %Y" {} + | sort',
  'find . -type f -exec sha256sum {} + | sort',
].join(' && ');

const fill = [
  'mkdir -p /data/orders /data/pictures',
  'for n in $(seq 1 200); do echo "order $n, $n.90 EUR" > /data/orders/$n.txt; done',
  'head -c 20000000 /dev/urandom > /data/pictures/product.jpg',
  'ln -s orders/200.txt /data/latest',
  'chown -R 70:70 /data/orders',
  'chmod 700 /data/pictures',
  'sync',
  'echo "the shop is open in zone $ZONE"',
  'sleep 3600',
].join('\n');

export function shopManifest(image: string): string {
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'orders', namespace: 'shop', labels: { tier: 'data' } },
    spec: {
      storageClassName: 'zonal-wait',
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '200Mi' } },
    },
  };
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };
  return documents(namespace, claim, podOf('shop', image, fill));
}

/** A pod that must run in the zone, says what it finds on the volume, and ends. */
export function readerManifest(image: string): string {
  return documents(podOf('reader', image, describeVolume));
}

function podOf(name: string, image: string, script: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop' },
    spec: {
      nodeSelector: { 'topology.kubernetes.io/zone': zone },
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name,
          image,
          env: [{ name: 'ZONE', value: zone }],
          command: ['sh', '-ec', script],
          volumeMounts: [{ name: 'data', mountPath: '/data' }],
        },
      ],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'orders' } }],
    },
  };
}

function documents(...objects: readonly object[]): string {
  return objects.map((object) => stringify(object)).join('---\n');
}
