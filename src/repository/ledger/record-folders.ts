/** Where records lie: told apart without reading them. */
import { ledgerPath } from '../claim-layout.ts';
import type { RecordKind } from './documents.ts';

const folders: Readonly<Record<RecordKind, string>> = {
  RunRecord: 'runs',
  Hold: 'holds',
  Release: 'releases',
  ClusterAdoption: 'adoptions',
};

/** The path of the snapshots that are records of this kind. */
export function recordPath(kind: RecordKind): string {
  return `${ledgerPath}${folders[kind]}`;
}
