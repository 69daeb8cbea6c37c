/**
 * What a mover's pod may do, by Pod Security level (R10.2, R10.3). Pure. No profile has an `fsGroup`: the kubelet would
 * change the group of every file on the volume (R6.5).
 */

/** The Pod Security level that a mover stays within. */
export const securityProfiles = ['baseline', 'restricted', 'privileged'] as const;
export type SecurityProfile = (typeof securityProfiles)[number];

/** Whose files a mover without root reads. */
export interface MoverUser {
  readonly uid: number;
  readonly gid: number;
  /** Further groups; of the pods that use the claim, so that what is open to their group can be read. */
  readonly groups: readonly number[];
}

/** Nobody in particular: the user of the image. */
export const imageUser: MoverUser = { uid: 65532, gid: 65532, groups: [] };

/** Restores give files back to their owners; no level below baseline lets them. */
const CAPABILITIES = {
  backup: { baseline: ['DAC_OVERRIDE'], restricted: [], privileged: ['DAC_READ_SEARCH'] },
  restore: {
    baseline: ['DAC_OVERRIDE', 'CHOWN', 'FOWNER', 'FSETID', 'SETFCAP', 'MKNOD'],
    restricted: [],
    privileged: ['DAC_OVERRIDE', 'CHOWN', 'FOWNER', 'FSETID', 'SETFCAP', 'MKNOD'],
  },
} as const;

export function podSecurity(profile: SecurityProfile, user: MoverUser): object {
  const seccompProfile = { type: 'RuntimeDefault' };
  if (profile !== 'restricted') return { runAsUser: 0, runAsGroup: 0, seccompProfile };
  const { uid, gid, groups } = user;
  return {
    ...{ runAsNonRoot: true, runAsUser: uid, runAsGroup: gid, seccompProfile },
    ...(groups.length === 0 ? {} : { supplementalGroups: groups }),
  };
}

export function containerSecurity(profile: SecurityProfile, kind: 'backup' | 'restore'): object {
  const add = CAPABILITIES[kind][profile];
  return {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'], ...(add.length === 0 ? {} : { add }) },
  };
}
