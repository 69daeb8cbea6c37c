/** What a restore counts while it goes through the trees. */

export interface MakerCounts {
  /** Regular files, with those that only become a link and those that are left as they are. */
  files: number;
  folders: number;
  /** Symbolic links, FIFOs, devices. */
  others: number;
  /** Sockets: nothing can restore them. */
  skipped: number;
  /** Regular files that are another name of one that was restored already. */
  hardLinks: number;
  /** Regular files that were found right as a whole, without a job. */
  kept: number;
  keptBytes: number;
  /** Regular files that stay as they are, by the mode of overwriting. */
  filesLeft: number;
  /** Links and special files that do. */
  othersLeft: number;
  deleted: number;
}

export function noCounts(): MakerCounts {
  const seen = { files: 0, folders: 0, others: 0, skipped: 0, hardLinks: 0 };
  return { ...seen, kept: 0, keptBytes: 0, filesLeft: 0, othersLeft: 0, deleted: 0 };
}
