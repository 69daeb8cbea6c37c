/**
 * A process that restores and kills itself, hard, at the first event whose message holds the given words:
 *
 *   node restore-child.ts OPTIONS_FILE KUBECONFIG WORDS
 */
import { readFileSync, writeSync } from 'node:fs';
import { connect } from '../../../src/cluster/connect.ts';
import { type RestoreOptions, restoreClaim } from '../../../src/restore/restore-claim.ts';

const [optionsFile = '', kubeconfig = '', words = ''] = process.argv.slice(2);
const options = JSON.parse(readFileSync(optionsFile, 'utf8')) as RestoreOptions;
const cluster = await connect({ kubeconfig });

const result = await restoreClaim(cluster, {
  ...options,
  onEvent: ({ step, message }) => {
    writeSync(1, `${step}: ${message}\n`);
    if (message.includes(words)) process.kill(process.pid, 'SIGKILL');
  },
});
writeSync(1, `${JSON.stringify(result)}\n`);
cluster.close();
