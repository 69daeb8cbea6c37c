/** The programs in whose shape a claim's backups may be: Holdfast's own, and those whose histories it goes on with. */

export const layouts = ['holdfast', 'k8up', 'volsync', 'velero'] as const;
export type Layout = (typeof layouts)[number];

/** `auto`: as the newest backup of the claim is, else Holdfast's own. */
export const layoutChoices = ['auto', ...layouts] as const;
export type LayoutChoice = (typeof layoutChoices)[number];
