/**
 * A process that backs up a claim and kills itself, hard, at the first event whose phase and message hold the words:
 *
 *   node backup-child.ts OPTIONS_FILE KUBECONFIG WORDS
 */
import { readFileSync } from 'node:fs';
import { backupClaim } from '../../../src/backup/backup-claim.ts';
import type { ClaimBackupRun } from '../../../src/backup/run.ts';
import { connect } from '../../../src/cluster/connect.ts';

const [optionsFile = '', kubeconfig = '', words = ''] = process.argv.slice(2);
const options = JSON.parse(readFileSync(optionsFile, 'utf8')) as ClaimBackupRun;
const cluster = await connect({ kubeconfig });

await backupClaim(cluster, {
  ...options,
  onEvent: ({ phase, message }) => {
    if (`${phase}: ${message}`.includes(words)) process.kill(process.pid, 'SIGKILL');
  },
});
cluster.close();
