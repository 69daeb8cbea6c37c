/** Fetches a pack and verifies it, twice before it is called damaged: the fault may be in transit. */
import { messageOf } from '../base/errors.ts';
import type { Store } from '../store/store.ts';
import { isAboutOneFile } from './check-findings.ts';
import type { IndexedBlob } from './format/index-file.ts';
import type { PackVerifier } from './verify-pack.ts';

const tries = 2;

/** What is wrong with the pack; empty when it is sound. Throws what concerns the whole store. */
export async function fetchAndVerify(
  store: Store,
  verify: PackVerifier,
  packId: string,
  blobs: readonly IndexedBlob[],
): Promise<string[]> {
  let problems: string[] = [];
  for (let attempt = 0; attempt < tries; attempt++) {
    problems = await once();
    if (problems.length === 0) break;
  }
  return problems;

  async function once(): Promise<string[]> {
    let bytes: Buffer;
    try {
      bytes = await store.get('data', packId);
    } catch (error) {
      if (!isAboutOneFile(error)) throw error;
      return [messageOf(error)];
    }
    return verify(packId, bytes, blobs);
  }
}
