/** A StatefulSet `db` in as many zones as it has pods, which keep a claim `data-db-N` of 200 MiB at /data, and run a shell script. */
import type { NewObject } from '../../../src/cluster/object.ts';
import type { ClusterState } from '../state.ts';

export function statefulSetOf(state: ClusterState, namespace: string, replicas: number, script: string): NewObject {
  const labels = { app: 'db' };
  const container = {
    name: 'db',
    image: state.busyboxImage,
    imagePullPolicy: 'IfNotPresent',
    command: ['sh', '-ec', `${script}; touch /tmp/ready; sleep 3600`],
    readinessProbe: { exec: { command: ['test', '-e', '/tmp/ready'] }, periodSeconds: 1 },
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
  };
  const spread = {
    ...{ maxSkew: 1, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'DoNotSchedule' },
    labelSelector: { matchLabels: labels },
  };
  const podSpec = {
    ...{ automountServiceAccountToken: false, terminationGracePeriodSeconds: 0, containers: [container] },
    topologySpreadConstraints: [spread],
  };
  const claimSpec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '200Mi' } } };
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace },
    spec: {
      serviceName: 'db',
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: podSpec },
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claimSpec }],
    },
  };
}
