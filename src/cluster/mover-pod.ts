/**
 * The Job of a mover: one pod, one volume, one repository, no rights in the cluster. Pure; src/cluster/mover-run.ts
 * sends it.
 */
import { ALIVE, type Labels, WORKS_FOR } from './labels.ts';
import { containerSecurity, imageUser, type MoverUser, podSecurity, type SecurityProfile } from './mover-security.ts';
import type { NewObject } from './object.ts';

/** How a mover in a pod gets at the repository. */
export interface RepositoryAccess {
  readonly url: string;
  /** Secret in the mover's namespace with AWS_… and HOLDFAST_PASSWORD (or restic's names) as keys. */
  readonly secretName?: string;
  /** The same as values: put into a Secret that goes with the Job. */
  readonly credentials?: Readonly<Record<string, string>>;
}

/** What a user may set about a mover's pod. */
export interface MoverSettings {
  readonly image: string;
  readonly imagePullPolicy?: string | undefined;
  readonly imagePullSecrets?: readonly string[];
  readonly resources?:
    | {
        readonly requests?: Readonly<Record<string, string>> | undefined;
        readonly limits?: Readonly<Record<string, string>> | undefined;
      }
    | undefined;
  readonly priorityClassName?: string | undefined;
  /** In the mover's namespace; it gets no token of it. Default: the namespace's default one. */
  readonly serviceAccountName?: string | undefined;
  /** Pod Security level to stay within; default baseline. */
  readonly security?: SecurityProfile | undefined;
  /** A LocalQueue of Kueue in the mover's namespace, which then says when the Job starts. */
  readonly queueName?: string | undefined;
}

export interface MoverPod {
  readonly kind: 'backup' | 'restore';
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  /** namespace/name of the claim that the user knows. */
  readonly worksFor: string;
  /** The claim that is mounted: never the user's own in a backup from a snapshot, always in a copy of a volume in use. */
  readonly claimName: string;
  /** The claim is the user's own, and its pods may be at work on it; or the storage itself gives it only to readers. */
  readonly readOnlyClaim?: boolean;
  readonly volumeMode: 'Filesystem' | 'Block';
  readonly settings: MoverSettings;
  readonly repository: RepositoryAccess;
  /** `spec.nodeAffinity.required` of the source volume: some snapshots can be read only where the volume is (R5.7). */
  readonly nodeSelector?: unknown;
  readonly tolerations?: readonly unknown[];
  /** Whose files they are, for a mover that is not root. */
  readonly user?: MoverUser | undefined;
  /** undefined: as long as it gets on. */
  readonly activeDeadlineSeconds?: number | undefined;
  /** Written into the annotation that says this run is alive. */
  readonly alive: string;
}

export const VOLUME_PATH = '/volume';
export const DEVICE_PATH = '/dev/holdfast-volume';
const ANSWER_FILE = '/dev/termination-log';
const JOB_FOLDER = '/etc/holdfast/job';
const CREDENTIALS_FOLDER = '/etc/holdfast/credentials';
export const JOB_FILE = 'job.json';
export const MOVER_CONTAINER = 'mover';
/** After this a Job that nobody removed goes by itself, with all it owns. */
const KEEP_FINISHED_SECONDS = 3600;

/** Born suspended: its ConfigMap, its Secret and its claim are made first, owned by it. */
export function moverJob(pod: MoverPod): NewObject {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: pod.name,
      namespace: pod.namespace,
      labels: pod.labels,
      annotations: { [WORKS_FOR]: pod.worksFor, [ALIVE]: pod.alive },
    },
    spec: {
      suspend: true,
      backoffLimit: 0,
      completions: 1,
      parallelism: 1,
      ...(pod.activeDeadlineSeconds === undefined ? {} : { activeDeadlineSeconds: pod.activeDeadlineSeconds }),
      ttlSecondsAfterFinished: KEEP_FINISHED_SECONDS,
      template: { metadata: { labels: podLabels(pod.labels), annotations: podAnnotations(pod) }, spec: podSpec(pod) },
    },
  };
}

function podSpec(pod: MoverPod): object {
  const { settings } = pod;
  const pullSecrets = (settings.imagePullSecrets ?? []).map((name) => ({ name }));
  return {
    restartPolicy: 'Never',
    ...(settings.serviceAccountName === undefined ? {} : { serviceAccountName: settings.serviceAccountName }),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 30,
    ...(pullSecrets.length === 0 ? {} : { imagePullSecrets: pullSecrets }),
    ...(settings.priorityClassName === undefined ? {} : { priorityClassName: settings.priorityClassName }),
    ...(pod.tolerations === undefined || pod.tolerations.length === 0 ? {} : { tolerations: pod.tolerations }),
    ...(pod.nodeSelector === undefined
      ? {}
      : { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: pod.nodeSelector } } }),
    securityContext: podSecurity(settings.security ?? 'baseline', pod.user ?? imageUser),
    containers: [container(pod)],
    volumes: podVolumes(pod),
  };
}

function podVolumes(pod: MoverPod): object[] {
  const secretName = secretOf(pod);
  return [
    {
      name: 'volume',
      // Of a snapshot only the mount in the container is read-only: here it would also forbid the file system to
      // replay its journal, and a snapshot of a running volume has one to replay. A volume in use needs no replay.
      persistentVolumeClaim: { claimName: pod.claimName, ...(pod.readOnlyClaim === true ? { readOnly: true } : {}) },
    },
    { name: 'job', configMap: { name: pod.name } },
    { name: 'tmp', emptyDir: {} },
    // Optional: a pod that waits for a Secret says so in events only, a mover without one says it at once. Readable to
    // all users of the pod, since the files are root's and there is no fsGroup.
    ...(secretName === undefined
      ? []
      : [{ name: 'credentials', secret: { secretName, optional: true, defaultMode: 0o444 } }]),
  ];
}

/** The Secret with the credentials: the one that was named, or the one that is sent. */
export function secretOf({ repository, name }: MoverPod): string | undefined {
  return repository.credentials === undefined ? repository.secretName : name;
}

function container(pod: MoverPod): object {
  const { settings } = pod;
  const hasSecret = secretOf(pod) !== undefined;
  const readOnly = pod.kind === 'backup';
  const mount =
    pod.volumeMode === 'Block'
      ? { volumeDevices: [{ name: 'volume', devicePath: DEVICE_PATH }] }
      : { mountVolume: { name: 'volume', mountPath: VOLUME_PATH, readOnly } };
  return {
    name: MOVER_CONTAINER,
    image: settings.image,
    imagePullPolicy: settings.imagePullPolicy ?? 'IfNotPresent',
    args: ['mover', pod.kind],
    env: [
      { name: 'HOLDFAST_JOB_FILE', value: `${JOB_FOLDER}/${JOB_FILE}` },
      { name: 'HOLDFAST_ANSWER_FILE', value: ANSWER_FILE },
      { name: 'HOLDFAST_POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'HOLDFAST_POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
      { name: 'HOME', value: '/tmp' },
      ...(hasSecret ? [{ name: 'HOLDFAST_CREDENTIALS_DIR', value: CREDENTIALS_FOLDER }] : []),
    ],
    resources: settings.resources ?? { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '2Gi' } },
    securityContext: containerSecurity(settings.security ?? 'baseline', pod.kind),
    terminationMessagePath: ANSWER_FILE,
    terminationMessagePolicy: 'File',
    volumeMounts: [
      ...('mountVolume' in mount ? [mount.mountVolume] : []),
      { name: 'job', mountPath: JOB_FOLDER, readOnly: true },
      { name: 'tmp', mountPath: '/tmp' },
      ...(hasSecret ? [{ name: 'credentials', mountPath: CREDENTIALS_FOLDER, readOnly: true }] : []),
    ],
    ...('volumeDevices' in mount ? { volumeDevices: mount.volumeDevices } : {}),
  };
}

/** A mesh's proxy would keep the pod running after its work; nothing in a mover serves anybody. */
function podLabels(labels: Labels): Labels {
  return { ...labels, 'sidecar.istio.io/inject': 'false' };
}

function podAnnotations(pod: MoverPod): Labels {
  return {
    [WORKS_FOR]: pod.worksFor,
    'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
    'linkerd.io/inject': 'disabled',
  };
}
