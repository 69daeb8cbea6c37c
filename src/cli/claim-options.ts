/**
 * The options of commands that work on claims. They stand apart from the work, so that `--dir` loads nothing of a cluster.
 */
import { HoldfastError } from '../base/errors.ts';
import { type LayoutChoice, layoutChoices } from '../base/layouts.ts';
import { parseSize } from '../base/units.ts';
import { flag, type OptionValues, parsed, text, texts } from './command.ts';

export const moverOptions = {
  moverImage: text('--mover-image <image>', "image of the mover's pod (default: $HOLDFAST_MOVER_IMAGE)"),
  imagePullSecret: texts('--image-pull-secret <name>', 'Secret with which the image is pulled'),
  repositorySecret: text(
    '--repository-secret <name>',
    "Secret in the mover's namespace with HOLDFAST_PASSWORD and AWS_… as keys",
  ),
  sendCredentials: flag(
    '--send-credentials',
    'put the password and S3 credentials of this environment into a Secret for the time of the run',
  ),
};
export type MoverOptionValues = OptionValues<typeof moverOptions>;

const moverNamespaces = ['claim', 'own'] as const;
const securityLevels = ['baseline', 'restricted', 'privileged'] as const;

/** What only movers of backups have. */
export const backupMoverOptions = {
  moverNamespace: parsed(
    '--mover-namespace <claim|own>',
    "where movers of snapshots run; own: the credentials never enter the claim's (default: by the policy, or claim)",
    oneOf(moverNamespaces),
  ),
  ownNamespace: text('--own-namespace <name>', "Holdfast's own namespace (default: $HOLDFAST_NAMESPACE, or holdfast)"),
  claimSecret: text(
    '--claim-secret <name>',
    "with own: Secret in the claim's namespace for FileCopy, with credentials for that namespace's prefix alone",
  ),
  moverSecurity: parsed(
    '--mover-security <level>',
    `Pod Security level of the mover: ${securityLevels.join(', ')} (default: by the policy, or baseline)`,
    oneOf(securityLevels),
  ),
  moverServiceAccount: text('--mover-service-account <name>', "account of the mover's pod, of which it gets no token"),
  queue: text('--queue <name>', 'LocalQueue of Kueue in which movers wait for their turn'),
};
export type BackupMoverOptionValues = OptionValues<typeof backupMoverOptions>;

export const policyOptions = {
  policy: text('--policy <file>', 'by a policy file instead: its claims, its repository, its retention'),
  policyName: text('--policy-name <name>', 'which of its policies, where it has several'),
};

/** Which claims, where they are not named. */
export const selectionOptions = {
  namespace: texts('-n, --namespace <name>', 'claims of this namespace'),
  allNamespaces: flag('-A, --all-namespaces', 'claims of all namespaces'),
  selector: text(
    '-l, --selector <selector>',
    "of them those with such labels, as tier=data,'app in (shop,web)',!temporary",
  ),
  storageClass: texts('--storage-class <name>', 'of them those of this storage class'),
  accessMode: texts('--access-mode <mode>', 'of them those with this access mode, as ReadWriteOnce'),
  volumeMode: texts('--volume-mode <mode>', 'of them those that are Filesystem or Block'),
  minSize: text('--min-size <size>', 'of them those of at least this size, as 10Gi'),
  maxSize: text('--max-size <size>', 'of them those of at most this size'),
  optIn: flag('--opt-in', 'of them those with the annotation holdfast.dev/backup: "true"'),
};
export type SelectionOptionValues = OptionValues<typeof selectionOptions>;

/** Whether anything says which claims are meant. */
export function isSelecting(given: SelectionOptionValues): boolean {
  const names = Object.keys(selectionOptions) as (keyof SelectionOptionValues)[];
  return names.some((name) => {
    const value = given[name];
    return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;
  });
}

export const claimBackupOptions = {
  ...selectionOptions,
  retry: text('--retry <run>', 'only the claims that failed in this run, or latest; see `holdfast list --runs`'),
  method: parsed(
    '--method <method>',
    'auto, SnapshotMove, Snapshot, FileCopy or ExecStream (default: by the policy, or auto)',
    parseMethod,
  ),
  snapshotClass: text('--snapshot-class <name>', 'VolumeSnapshotClass (default: the only one that fits the driver)'),
  group: flag('--group', 'cut the claims that are named together: at one instant where the storage can'),
  parallel: parsed('--parallel <n>', 'how many claims at a time (default: by the policy, or 3)', parseCount),
  clusterName: text('--cluster-name <name>', 'host of the backups (default: cluster-<first 8 of its uid>)'),
  clusterUid: text('--cluster-uid <uid>', 'identity of the cluster (default: UID of the namespace kube-system)'),
  layout: parsed(
    '--layout <layout>',
    `shape of the backups: ${layoutChoices.join(', ')} (default: auto, as the claim's newest backup)`,
    parseLayout,
  ),
  keepOnFailure: flag('--keep-on-failure', 'leave snapshot, temporary claim and Job of a failed run for a look'),
  ...moverOptions,
  ...backupMoverOptions,
};
/** `plan` is of all ways to back up. */
export type ClaimBackupOptionValues = OptionValues<typeof claimBackupOptions> & { readonly plan: boolean };

/** Which claims, where not one backup is named. The filters of backups narrow them further. */
export const restoreSetOptions = {
  statefulSet: parsed(
    '--stateful-set <namespace/name>',
    'all claims of a StatefulSet, or of another set of pods that names its claims alike (Strimzi), every ordinal',
    parseClaim,
  ),
  run: text('--run <run>', 'all claims that this backup run backed up'),
  at: text('--at <time>', 'as they were then: the newest backup of each claim up to a day or an instant'),
  toNamespace: text('--to-namespace <name>', 'into this namespace, under their own names'),
  skipExisting: flag('--skip-existing', 'leave claims that are there as they are, and restore the others'),
  parallel: parsed('--parallel <n>', 'how many claims at a time (default: 3)', parseCount),
};
export type RestoreSetOptionValues = OptionValues<typeof restoreSetOptions>;

export const claimRestoreOptions = {
  to: parsed('--to <namespace/claim>', 'the claim to make (default: as it was)', parseClaim),
  zone: text(
    '--zone <zone>',
    'where its volume is to be: a zone; any; or spread, which goes round the zones by ordinals (default: as it was)',
  ),
  mapZone: texts('--map-zone <old=new>', 'where a zone or region of the old cluster is in this one, if it is not here'),
  storageClass: text('--storage-class <name>', 'storage class of the new volume (default: as it was)'),
  mapClass: texts('--map-class <old=new>', 'storage class that takes the place of a recorded one'),
  size: parsed('--size <size>', 'size of the new volume, as 20Gi (default: as it was)', parseSize),
  inPlace: flag(
    '--in-place',
    'into the claim that is there: its pods are scaled away meanwhile, and a CSI snapshot of it is made first and kept',
  ),
  noSafetySnapshot: flag('--no-safety-snapshot', 'with --in-place: make none; what is there now is lost'),
  snapshotClass: text('--snapshot-class <name>', 'with --in-place: VolumeSnapshotClass of that snapshot'),
  createNamespace: flag('--create-namespace', 'make the namespace if it does not exist'),
  allowIncomplete: flag(
    '--allow-incomplete',
    'also restore a backup in which files are missing, or a set of which a claim has no backup',
  ),
  from: parsed(
    '--from <source>',
    'snapshot: make the volume from the kept CSI snapshot; repository: write the data into it (default: auto)',
    oneOf(['auto', 'snapshot', 'repository'] as const),
  ),
  plan: flag('--plan', 'show what would be made, where and why, and make nothing'),
  abandon: flag('--abandon', 'remove what an unfinished restore of this backup into this claim left'),
  clusterUid: text('--cluster-uid <uid>', 'identity of the cluster (default: UID of the namespace kube-system)'),
  ...moverOptions,
};
export type ClaimRestoreOptionValues = OptionValues<typeof claimRestoreOptions>;

const methods = ['auto', 'Snapshot', 'SnapshotMove', 'FileCopy', 'ExecStream'] as const;

function parseMethod(given: string): (typeof methods)[number] {
  const found = methods.find((method) => method.toLowerCase() === given.toLowerCase());
  if (found === undefined) throw new Error(`is none of ${methods.join(', ')}`);
  return found;
}

function oneOf<T extends string>(values: readonly T[]): (given: string) => T {
  return (given) => {
    const found = values.find((value) => value === given);
    if (found === undefined) throw new Error(`is none of ${values.join(', ')}`);
    return found;
  };
}

function parseCount(given: string): number {
  if (!/^[1-9]\d{0,3}$/.test(given)) throw new Error('has to be a number above 0');
  return Number(given);
}

/** `['eu-1a=us-1a']` → a map from old names to new ones. `what` is for the message: zones, storage classes. */
export function parsePairs(given: readonly string[], what: string): Readonly<Record<string, string>> {
  const pairs = given.map((one) => one.split('='));
  const wrong = pairs.find(([from = '', to = '', ...rest]) => from === '' || to === '' || rest.length > 0);
  if (wrong)
    throw new HoldfastError('USAGE', { problem: `"${wrong.join('=')}" is no pair of ${what}: expected OLD=NEW` });
  return Object.fromEntries(pairs);
}

function parseLayout(given: string): LayoutChoice {
  const layout = layoutChoices.find((choice) => choice === given);
  if (layout === undefined) throw new Error(`expected one of ${layoutChoices.join(', ')}`);
  return layout;
}

/** `shop/data` → namespace and name. */
export function parseClaim(given: string): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = '', ...rest] = given.split('/');
  if (namespace === '' || name === '' || rest.length > 0) {
    throw new HoldfastError('USAGE', { problem: `"${given}" is no claim: expected NAMESPACE/CLAIM` });
  }
  return { namespace, name };
}
