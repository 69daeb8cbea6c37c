/** Reads the config at the address of its argument and ends, without closing the store. */
import { openStore } from '../../src/store/open-store.ts';

const store = await openStore(process.argv[2] ?? '', { env: process.env });
process.stdout.write(await store.get('config', 'config'));
