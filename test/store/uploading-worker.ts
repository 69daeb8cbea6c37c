/** Uploads the memory that its starter shares with it. */
import { workerData } from 'node:worker_threads';
import { openStore } from '../../src/store/open-store.ts';

const { url, env, name, view }: { url: string; env: Record<string, string>; name: string; view: Uint8Array } =
  workerData;
const store = await openStore(url, { env });
await store.put('data', name, view, name);
await store.close();
