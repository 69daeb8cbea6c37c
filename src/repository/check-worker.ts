/** A thread of a check that reads the data: fetches packs through a store of its own and verifies them. */
import { parentPort, workerData } from 'node:worker_threads';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { park, stopMessage } from '../base/threads.ts';
import { openStore } from '../store/open-store.ts';
import type { CheckWorkerSetup, PackAnswer, PackTask } from './check-workers.ts';
import { fetchAndVerify } from './fetch-pack.ts';
import { createPackVerifier } from './verify-pack.ts';

const setup: CheckWorkerSetup = workerData;
const port = parentPort!;
const { encrypt, macK, macR } = setup.key;
const key = { encrypt: Buffer.from(encrypt), macK: Buffer.from(macK), macR: Buffer.from(macR) };
const verify = createPackVerifier(key);
const store = openStore(setup.url, setup.env ? { env: setup.env } : {});

port.on('message', async (task: PackTask | typeof stopMessage) => {
  if (task === stopMessage) park(port);
  else port.postMessage(await answerTo(task.packId, task.blobs));
});

async function answerTo(packId: string, blobs: PackTask['blobs']): Promise<PackAnswer> {
  try {
    return { packId, problems: await fetchAndVerify(await store, verify, packId, blobs) };
  } catch (error) {
    if (error instanceof HoldfastError) return { packId, error: { code: error.code, context: error.context } };
    return { packId, bug: error instanceof Error ? (error.stack ?? error.message) : messageOf(error) };
  }
}
