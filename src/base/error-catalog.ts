/**
 * Every code that Holdfast can end with. Codes are permanent: scripts and alerts match on them.
 * message: what happened and why. hint: the next action. {names} are filled from the error's context.
 */
export interface ErrorEntry {
  readonly message: string;
  readonly hint: string;
  /** Default 1. */
  readonly exitCode?: number;
  /** Default false. */
  readonly retryable?: boolean;
  /** A code that stands for several: whoever asks for that one means this one too. */
  readonly family?: string;
}

export const catalog = {
  // Usage
  USAGE: {
    message: '{problem}.',
    hint: 'Run the command with --help to see what it takes.',
  },
  INTERRUPTED: {
    message: 'Interrupted by {signal}.',
    hint: 'What was uploaded stays and is used by the next run; nothing else was changed.',
    exitCode: 130,
  },

  PLATFORM_UNSUPPORTED: {
    message: 'This machine cannot read and set the attributes of files: {reason}.',
    hint: 'Run Holdfast on Linux (x64 or arm64) with its dependencies installed.',
  },

  // Repository and store
  REPOSITORY_URL_INVALID: {
    message: 'Cannot use "{url}" as a repository: {reason}.',
    hint: 'Give a folder, or an S3 address such as s3:https://host/bucket/prefix.',
  },
  REPOSITORY_NOT_FOUND: {
    message: 'There is no repository at {url}.',
    hint: 'Check the address, or create one there with `holdfast init`.',
    exitCode: 10,
  },
  REPOSITORY_EXISTS: {
    message: 'There already is a repository at {url} (found {found}).',
    hint: 'Use it as it is, or choose another place.',
  },
  REPOSITORY_UNSUPPORTED: {
    message: 'The repository at {url} cannot be used: {reason}.',
    hint: 'Open it with the tool that made it; Holdfast works on restic repositories of versions 1 and 2.',
  },
  REPOSITORY_APPEND_ONLY: {
    message: 'The repository at {url} is marked append-only, so {consequence}.',
    hint: 'Whoever may lift the mark does so with `rustic config --set-append-only false`.',
  },
  REPOSITORY_DAMAGED: {
    message: 'The repository is damaged: {reason}.',
    hint: 'Run `holdfast check --read-data` to see how far, and keep the repository as it is until then.',
  },
  PASSWORD_MISSING: {
    message: 'No repository password was given.',
    hint: 'Set HOLDFAST_PASSWORD or HOLDFAST_PASSWORD_FILE, or give --password-file.',
    exitCode: 12,
  },
  SOURCE_PASSWORD_MISSING: {
    message: 'No password was given for the repository that is read from.',
    hint: 'Give --from-password-file, or set HOLDFAST_FROM_PASSWORD_FILE or HOLDFAST_FROM_PASSWORD.',
    exitCode: 12,
  },
  PASSWORD_WRONG: {
    message: 'The password does not open the repository at {url} (keys tried: {keys}).',
    hint: 'Check the password, and that this is the repository that it belongs to.',
    exitCode: 12,
  },
  REPOSITORY_LOCKED: {
    message: 'The repository is locked by {holder} since {since} ({kind}).',
    hint: 'Wait for it to end; if that process is gone, run `holdfast unlock`.',
    exitCode: 11,
    retryable: true,
  },
  LOCK_LOST: {
    message: 'The lock of this run vanished from the repository: {reason}.',
    hint: 'Somebody removed it, or the store was out of reach for too long. Run the command again.',
    exitCode: 11,
    retryable: true,
  },
  STORE_UNREACHABLE: {
    message: 'Cannot reach {url}: {reason}.',
    hint: 'Check the address, the network and whether the server is up.',
    retryable: true,
  },
  STORE_MISSING: {
    message: 'There is nothing to write to at {url}: {reason}.',
    hint: 'Check the address and that the disk is mounted; a new repository is made with `holdfast init`.',
  },
  STORE_DENIED: {
    message: 'The store at {url} refused {operation}: {reason}.',
    hint: 'Check the credentials and that they may read, write, list and delete there.',
  },
  STORE_FAILED: {
    message: '{operation} failed at {url}: {reason}.',
    hint: 'The store answered with an error; try again, and look into the log of the store if it stays.',
    retryable: true,
  },
  STORE_BUSY: {
    message: '{operation} failed at {url}, which is overloaded or out of order: {reason}.',
    hint: 'Holdfast waited and tried again for minutes. Run it again later, with fewer connections (-o s3.connections=4), or look into the log of the store.',
    retryable: true,
  },
  STORE_UNTRUSTED: {
    message: 'The server at {url} could not prove who it is: {reason}.',
    hint: 'If it is the right one, name the file with the CA that signed its certificate: --cacert FILE, or RESTIC_CACERT or AWS_CA_BUNDLE.',
  },
  STORE_REGION_WRONG: {
    message: 'The bucket of {url} is in the region {region}, and another was used: {reason}.',
    hint: 'Set AWS_REGION={region}, or give -o s3.region={region}.',
  },
  STORE_FROZEN: {
    message: 'At {url}, {name} is in a storage class that has to be thawed before it can be read: {reason}.',
    hint: 'Restore the objects below data/ with the tools of the store, and keep lifecycle rules from moving them there again.',
  },
  STORE_OPTION_INVALID: {
    message: 'Cannot use {option}: {reason}.',
    hint: 'docs/stores.md has all options of stores.',
  },
  CREDENTIALS_REJECTED: {
    message: 'The server at {url} does not accept the credentials: {reason}.',
    hint: 'Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for temporary ones, AWS_SESSION_TOKEN, or the profile that they come from.',
  },
  CREDENTIALS_NOT_FOUND: {
    message: 'No credentials for {url} were found: {reason}.',
    hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the pod or machine a role.',
  },
  CLOCK_WRONG: {
    message: 'The server at {url} refuses requests since the clocks differ too much: {reason}.',
    hint: 'Set the clock of this machine (NTP), or that of the server.',
  },
  STORE_FULL: {
    message: 'No space left at {url} while writing {name}.',
    hint: 'Make room and run again; what was stored before is intact.',
  },
  FILE_NOT_FOUND: {
    message: 'The repository has no {kind} {name}.',
    hint: 'Run `holdfast check` to see what is missing.',
  },
  FILE_DAMAGED: {
    message: '{kind} {name} is damaged: {reason}.',
    hint: 'Run `holdfast check --read-data` to see how far the damage goes.',
  },
  CONFIG_DAMAGED: {
    message: 'The config of the repository is damaged: {reason}.',
    hint: 'Put back the copy of the file `config` that was kept elsewhere. All else may be sound, and waits for it.',
    family: 'FILE_DAMAGED',
  },
  KEY_DAMAGED: {
    message: 'Key {name} is damaged: {reason}.',
    hint: 'Put back the copy of the folder `keys` that was kept elsewhere, or use the password of another key.',
    family: 'FILE_DAMAGED',
  },
  SNAPSHOT_DAMAGED: {
    message: 'Snapshot {name} is damaged: {reason}.',
    hint: 'This one backup cannot be read; `holdfast check` says whether all others are sound.',
    family: 'FILE_DAMAGED',
  },
  INDEX_DAMAGED: {
    message: 'Index {name} is damaged: {reason}.',
    hint: 'Run `holdfast repair index`: an index can be made again from the packs.',
    family: 'FILE_DAMAGED',
  },
  LOCK_DAMAGED: {
    message: 'Lock {name} is damaged: {reason}.',
    hint: 'Make sure that nobody works on the repository, then run `holdfast unlock --all`.',
    family: 'FILE_DAMAGED',
  },
  PACK_DAMAGED: {
    message: 'Pack {name} is damaged: {reason}.',
    hint: 'Run `holdfast check --read-data` to see how far the damage goes, then `holdfast repair packs` to save the rest.',
    family: 'FILE_DAMAGED',
  },
  TREE_DAMAGED: {
    message: 'The list of a folder, {kind} {name}, is damaged: {reason}.',
    hint: 'Run `holdfast check --read-data`, `holdfast repair packs` for the packs that it names, then `holdfast repair snapshots`.',
    family: 'FILE_DAMAGED',
  },
  COMPRESSION_FAULTY: {
    message: 'A blob of {bytes} bytes was not the same after compressing and decompressing it.',
    hint: 'Memory or processor of this machine are at fault: test them before the next backup. The blob was not stored.',
  },
  INDEX_FULL: {
    message: 'This run found more than {blobs} new blobs, which is more than the index holds in memory at once.',
    hint: 'Run it again: what was stored so far is kept and not stored twice.',
    retryable: true,
  },

  // Backups and restores of folders
  BACKUP_NOT_FOUND: {
    message: 'No backup matches "{name}".',
    hint: 'Run `holdfast list` to see what there is.',
  },
  BACKUP_AMBIGUOUS: {
    message: '"{name}" matches {count} backups: {matches}.',
    hint: 'Give more characters of the id.',
  },
  BACKUP_OF_SEVERAL_CLUSTERS: {
    message: 'Claims called "{name}" of several clusters are backed up here: {clusters}.',
    hint: 'Choose one cluster with --tag cluster-uid=UID, or give the id of the backup.',
  },
  PATH_NOT_IN_BACKUP: {
    message: 'The backup {backup} has no {path}.',
    hint: 'Run `holdfast ls {backup}` to see what is in it.',
  },
  ENTRY_NOT_DUMPABLE: {
    message: 'Cannot write out {path}: {reason}.',
    hint: 'Name a file or a folder; `holdfast restore` brings back everything else.',
  },
  FOLDER_NOT_IN_BACKUP: {
    message: 'The backup {backup} has no folder {folder}.',
    hint: 'Run `holdfast ls {backup}` to see what is in it.',
  },
  SOURCE_UNREADABLE: {
    message: 'Cannot read {path}: {reason}.',
    hint: 'Check that it exists and may be read.',
  },
  COMMAND_FAILED: {
    message: 'The command {command} failed: {reason}.',
    hint: 'What it wrote is no backup, so none was made. What it says of the reason stands above.',
  },
  BACKUP_INCOMPLETE: {
    message: 'The backup {backup} lacks {count} files that could not be read.',
    hint: 'The errors above name them. Everything else is stored and can be restored.',
    exitCode: 3,
  },
  RESTORE_INCOMPLETE: {
    message: '{count} files could not be restored completely into {target}.',
    hint: 'The errors and warnings above name them. Mend the cause and run the same restore again, into a folder with --overwrite.',
  },
  RESTORE_TARGET_UNUSABLE: {
    message: 'Cannot restore into {target}: {reason}.',
    hint: 'Choose an empty or new folder, or say with --overwrite what is to become of what is there.',
  },
  CHECK_FAILED: {
    message: 'The repository has {count} errors.',
    hint: 'The list above names each. Nothing was changed.',
  },
  POLICY_EMPTY: {
    message: 'No retention rule was given, so nothing would be kept.',
    hint: 'Give at least one --keep-… option.',
  },
  POLICY_INVALID: {
    message: '{source}: {problem}.',
    hint: 'See docs/policy.md for the fields of a policy.',
  },
  POLICY_SELECTS_NOTHING: {
    message: 'The policy {policy} selects none of the {count} claims of its namespace.',
    hint: 'Change its spec.select, or the claims. `holdfast backup --policy FILE --plan` says why each one is left out.',
  },
  LEDGER_UNREADABLE: {
    message: 'The record {record} of the repository cannot be read: {reason}.',
    hint: 'No rule removes anything until then, since it may hold backups. Run `holdfast check --read-data`; a newer version may have written it.',
  },
  BACKUP_HELD: {
    message: 'The backup {backup} is held: {reason}.',
    hint: 'Release it with `holdfast release {backup}`, or remove it all the same with --even-held.',
  },
  RUN_NOT_FOUND: {
    message: 'No run matches "{name}".',
    hint: 'See the runs that there are with `holdfast list --runs`.',
  },
  RUN_UNRECORDED: {
    message: 'The run {run} could not be recorded: {reason}.',
    hint: 'Its backups are there; nothing was removed. `holdfast list --runs` shows what can be told without the record.',
  },
  CLUSTER_NAME_TAKEN: {
    message: 'Another cluster ({other}) has backups under the name {name} in this repository; this one is {uid}.',
    hint: 'Choose another name with --cluster-name, or if this is that cluster, rebuilt: `holdfast adopt-cluster {other}`.',
  },
  ADOPTION_REFUSED: {
    message: 'The backups of {cluster} cannot become those of this cluster: {reason}.',
    hint: '`holdfast list --json` shows the clusters as the tags cluster-uid=.',
  },
  SELECTION_EMPTY: {
    message: 'None of the {count} claims that were looked at fulfils the conditions.',
    hint: 'Run it with --plan, which says why each one is left out.',
  },
  FORGET_REFUSED: {
    message: 'The rules keep no backup at all of {group}; nothing was removed.',
    hint: 'Give a rule that keeps at least one, such as --keep-last 1.',
  },
  FORGET_INCOMPLETE: {
    message: '{count} backups could not be removed.',
    hint: 'The errors above say why; the rest is done.',
    exitCode: 3,
  },
  PRUNE_REFUSED: {
    message: 'The repository cannot be pruned: {reason}.',
    hint: 'Nothing was removed. Run `holdfast repair index`, then `holdfast check`, which names the backups concerned.',
  },
  PRUNE_INCOMPLETE: {
    message: '{count} packs could not be deleted.',
    hint: 'The errors above say why. No backup needs them, and the next prune tries again.',
    exitCode: 3,
  },
  REPAIR_INCOMPLETE: {
    message: '{count} packs could not be read.',
    hint: 'The errors above name them. `holdfast repair packs` saves what can be read of them, and takes them away.',
    exitCode: 3,
  },
  INDEX_UNTRUE: {
    message:
      'The index does not say what is there: {packs} packs are missing, changed or not listed, and {files} of its files are damaged.',
    hint: 'Nothing was changed. Run `holdfast repair index` first, and `holdfast repair packs` for packs that it cannot read.',
  },
  PACK_NOT_FOUND: {
    message: 'No single pack matches "{name}": {count} do.',
    hint: 'Give the id of a pack as `holdfast check --read-data` names it.',
  },
  BACKUPS_BEYOND_REPAIR: {
    message: 'Of {count} backups not even the first folder can be read; they are as they were.',
    hint: 'Remove them with --forget, or with `holdfast forget ID`.',
    exitCode: 3,
  },
  COPY_INCOMPLETE: {
    message: '{count} backups could not be copied.',
    hint: 'The errors above name them and what is missing or damaged in the source. All others are copied.',
    exitCode: 3,
  },
  KEY_NOT_FOUND: {
    message: 'No single key matches "{name}": {count} do.',
    hint: 'Run `holdfast key list` to see the keys.',
  },
  KEY_NEEDED: {
    message: 'The key {id} is the one that this command was opened with, and stays.',
    hint: 'Open the repository with the password of another key to remove this one.',
  },

  // Cluster
  CLUSTER_UNREACHABLE: {
    message: 'Cannot reach the cluster at {server}: {reason}.',
    hint: 'Check KUBECONFIG or --kubeconfig and --context.',
    retryable: true,
  },
  CLUSTER_DENIED: {
    message: 'The cluster does not allow to {verb} {resource}: {reason}.',
    hint: 'Give the account that right; docs/rights.md lists all that is needed.',
  },
  CLUSTER_REFUSED: {
    message: 'The cluster refused to {verb} {resource}: {reason}.',
    hint: 'The reason names the quota, the admission rule or the field that stands against it.',
  },
  CLUSTER_FAILED: {
    message: 'The API server answered {status} to {verb} {resource}: {reason}.',
    hint: 'See the reason; the call can be repeated.',
    retryable: true,
  },
  WAIT_TIMEOUT: {
    message: 'Waited {seconds} s for {what}; last seen: {last}.',
    hint: 'The last state says what it is waiting for; look at the events of that object.',
    retryable: true,
  },
  EXEC_FAILED: {
    message: 'Could not run {program} in {place}: {reason}.',
    hint: 'The container must run and have that program; the reason is that of its node.',
  },
  EXEC_CUT: {
    message: 'The connection to {program} in {place} ended without its exit status: {reason}.',
    hint: 'The command may have done its work or part of it, and may still be running.',
    retryable: true,
  },
  EXEC_TIMEOUT: {
    message: '{program} in {place} was not done after {seconds} s.',
    hint: 'It may still be running there: a command cannot be ended from outside.',
    retryable: true,
  },
  STREAM_REFUSED: {
    message: 'The files of {claim} cannot be streamed out of a pod: {reason}.',
    hint: 'ExecStream needs a running container that has all of the volume and a tar program; choose another method.',
  },
  STREAM_BROKEN: {
    message: 'The stream of {name} did not arrive whole: {reason}.',
    hint: 'No backup was made of it. Run again; if it breaks off each time, choose another method.',
    retryable: true,
  },
  CLAIM_NOT_FOUND: {
    message: 'There is no claim {claim}.',
    hint: 'Check namespace and name with `kubectl get pvc -A`.',
  },
  CLAIM_NOT_BOUND: {
    message: 'The claim {claim} is {phase}, not Bound; there is no volume to back up.',
    hint: 'Start a pod that uses it, or leave it out.',
  },
  CLAIM_UNSETTLED: {
    message: 'The claim {claim} cannot be backed up now: {reason}.',
    hint: 'Run again when that has settled.',
  },
  CLAIM_LEFT_OUT: {
    message: 'The claim {claim} is not backed up by this policy: {reason}.',
    hint: 'Change the rules of the policy or the claim, where it should be; docs/policy.md has both.',
  },
  LIVE_COPY_REFUSED: {
    message: 'The volume of {claim} cannot be copied while it is in use: {reason}.',
    hint: 'Such a copy gives way to the pods of the claim. Run again when they have settled, or back up by snapshots.',
    retryable: true,
  },
  MOVER_NAMESPACE_UNFIT: {
    message: 'The mover of {claim} cannot work in the namespace {namespace}: {reason}.',
    hint: "Name a Secret of the claim's namespace with credentials for that namespace's prefix (--claim-secret, spec.mover.claimSecretName), use SnapshotMove, or let movers run in the claim's namespace.",
  },
  SNAPSHOT_UNSUPPORTED: {
    message: 'The volume of {claim} cannot be snapshotted: {reason}.',
    hint: 'Snapshots need a CSI driver with a snapshot class and the snapshot controller.',
  },
  SNAPSHOT_CLASS_AMBIGUOUS: {
    message: '{count} snapshot classes fit the driver {driver}: {classes}.',
    hint: 'Name one with --snapshot-class (spec.group.class for groups), or make one the default.',
  },
  SNAPSHOT_FAILED: {
    message: 'The snapshot of {claim} did not become ready: {reason}.',
    hint: "The reasons are the driver's own; its log says more. Nothing is left over.",
    retryable: true,
  },
  GROUP_NOT_CUT: {
    message: 'The claims of group {group} cannot be cut together: {cause}.',
    hint: 'A group is cut whole or not at all, and nothing is left over. Mend what is named, or back up the claims without a group.',
    retryable: true,
  },
  HOOK_REFUSED: {
    message: 'Hook {hook} cannot run for {claim}: {reason}.',
    hint: 'Mend the hook in the policy. `claims` in it says for which claims it is; onError: Continue backs up without it.',
  },
  HOOK_FAILED: {
    message: 'Hook {hook} failed for {target}: {reason}.',
    hint: 'Nothing is backed up that was not prepared. The after-commands of all hooks that had begun have been run.',
    retryable: true,
  },
  BACKUP_RUNNING: {
    message: 'Another backup of {claim} is at work (run {run}).',
    hint: 'Wait for it to end. If its process is gone, the next backup notices that within a minute.',
    retryable: true,
  },
  MOVER_FAILED: {
    message: 'The mover of {claim} failed: {reason}.',
    hint: "The log above is the mover's. Nothing of the target is in use; run again.",
    retryable: true,
  },
  KEPT_SNAPSHOT_UNUSABLE: {
    message: 'The CSI snapshot that was kept cannot be restored from: {reason}.',
    hint: '{fix}',
  },
  KEPT_SNAPSHOT_STAYS: {
    message: 'The data of backup {backup} is a CSI snapshot in a storage system that cannot be reached from here.',
    hint: 'Run forget with access to the cluster that made it: its snapshot is removed first, then its recipe.',
  },
  CREDENTIALS_MISSING: {
    message: 'The mover in namespace {namespace} has no credentials for the repository: {reason}.',
    hint: 'Create the Secret, or let this command make one for the time of the run with --send-credentials.',
  },
  FOLDER_REPOSITORY_IN_CLUSTER: {
    message: 'A mover cannot reach the folder repository {url}.',
    hint: 'Use a repository on object storage for claims.',
  },
  BACKUP_HAS_NO_RECIPE: {
    message: 'The backup {backup} holds no claim recipe (manifest.json).',
    hint: 'Restore it into a folder with --dir.',
  },
  RECIPE_UNREADABLE: {
    message: 'The recipe of the backup (manifest.json) cannot be read: {reason}.',
    hint: 'The data itself is not affected: restore it into a folder with --dir, or use a newer version.',
  },
  BACKUP_NOT_COMPLETE: {
    message: 'The backup {backup} is marked incomplete: some files could not be read when it was made.',
    hint: 'Choose a complete backup, or give --allow-incomplete to restore what there is.',
  },
  ORDINALS_MISSING: {
    message: 'There is no backup of {claims}, which {set} has or had: its pods would start with empty volumes there.',
    hint: 'Restore the claims that there are by their names, or with --allow-incomplete.',
  },
  RESTORE_OF_SEVERAL_REFUSED: {
    message: 'This restore cannot be done as it is (reasons against it: {count}). Nothing was made.',
    hint: 'Each of them is named above, with the way out. --plan shows all claims.',
  },
  RESTORE_OF_SEVERAL_FAILED: {
    message: 'None of the {count} claims could be restored.',
    hint: 'The errors above say why. Mend the causes and run the same command again: it goes on where it was.',
  },
  RESTORE_OF_SEVERAL_INCOMPLETE: {
    message: '{failed} of {count} claims could not be restored.',
    hint: 'The errors above name them. Mend the causes and run the same command again: it goes on with these.',
    exitCode: 3,
  },
  TARGET_EXISTS: {
    message: 'The claim {claim} already exists.',
    hint: 'Restore under another name with --to NAMESPACE/CLAIM, into the claim itself with --in-place, or delete it first. Of several claims --skip-existing leaves it as it is.',
  },
  TARGET_NOT_BOUND: {
    message: 'The claim {claim} is {phase}, not Bound: there is no volume to restore into.',
    hint: 'Restore it as a new claim: delete this one, or choose another name with --to.',
  },
  TARGET_IN_USE: {
    message: 'The claim {claim} is in use, and its pods cannot be scaled away: {reason}.',
    hint: 'Stop what uses it and run again, or restore beside it with --to NAMESPACE/CLAIM.',
  },
  TARGET_WRONG_MODE: {
    message: 'The claim {claim} has the volume mode {is}, the backup needs {needed}.',
    hint: 'Restore into a new claim with --to NAMESPACE/CLAIM.',
  },
  CLAIM_TOO_SMALL: {
    message: 'The data needs about {needed} with its file system, the claim {claim} has only {size}.',
    hint: 'Enlarge the claim, or restore into a new one with --to NAMESPACE/CLAIM.',
  },
  TARGET_HALF_RESTORED: {
    message: 'A restore of another backup into {claim} has begun and not ended.',
    hint: 'Run that one again to its end, or give it up with --abandon. What was there before it: VolumeSnapshot {snapshot}.',
  },
  SAFETY_SNAPSHOT_IMPOSSIBLE: {
    message: 'No snapshot of what is in {claim} can be made before it is overwritten: {reason}.',
    hint: 'Restore beside it with --to NAMESPACE/CLAIM, or give up what is there with --no-safety-snapshot.',
  },
  NAMESPACE_MISSING: {
    message: 'The namespace {namespace} does not exist.',
    hint: 'Create it, or give --create-namespace.',
  },
  STORAGE_CLASS_MISSING: {
    message: 'The storage class {class} does not exist in this cluster (it has: {classes}).',
    hint: 'Name one that does with --storage-class.',
  },
  ZONE_MISSING: {
    message: 'No ready node is in zone {zone} (nodes are in: {zones}).',
    hint: 'Choose one of those with --zone or --map-zone, or any with --zone any.',
  },
  REGION_MISSING: {
    message: 'No ready node is in region {region} (nodes are in: {regions}).',
    hint: 'Say which one takes its place with --map-zone {region}=NEW, choose a zone with --zone, or any with --zone any.',
  },
  RIGHTS_MISSING: {
    message: 'This account may not do all that the restore needs: {rights}.',
    hint: 'Give the account these rights; docs/rights.md has the roles. Nothing was made.',
  },
  QUOTA_EXCEEDED: {
    message: 'The quota {quota} of namespace {namespace} has {left} of {resource} left, the restore needs {needed}.',
    hint: 'Raise the quota or restore fewer claims at once; until a restore ends there are two claims for its one volume.',
  },
  SIZE_NOT_ALLOWED: {
    message: 'The limit {name} of namespace {namespace} allows claims of {limit}, planned is {size}.',
    hint: 'Choose another --size, or have the limit changed.',
  },
  STORAGE_FULL: {
    message: 'The storage says that it has at most {left} left for a volume of class {class} in {place}, not {size}.',
    hint: '{fix}',
  },
  NODES_FULL: {
    message: 'No node of {place} may have one more volume of {driver} attached: {nodes} have all that they may.',
    hint: 'Add a node there, move pods away, or choose another --zone.',
  },
  TARGET_TOO_SMALL: {
    message: 'The data needs about {needed} with its file system, the planned volume has only {size}.',
    hint: 'Give a larger --size.',
  },
  VOLUME_MISPLACED: {
    message: 'The volume {volume} was made in {found}, but {planned} was planned.',
    hint: 'It was not put to use. Give it up with --abandon, see why the storage chose so, and restore again.',
  },
  HAND_OVER_FAILED: {
    message: 'The volume {volume} could not be handed over to {claim}: {reason}.',
    hint: 'Nothing was deleted: the volume is kept (Retain). Run the same restore again to go on, or --abandon it.',
  },
  RESTORE_REFUSED: {
    message: 'The restore cannot be done: {reason}.',
    hint: '{fix}',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof catalog;
