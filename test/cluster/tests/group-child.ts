/**
 * A process that backs up all claims of a namespace in groups and kills itself, hard, at the first event whose phase and
 * message hold the words:
 *
 *   node group-child.ts OPTIONS_FILE KUBECONFIG WORDS
 */
import { readFileSync } from 'node:fs';
import type { GroupWish } from '../../../src/backup/groups.ts';
import type { ClaimsRun } from '../../../src/backup/run-claims.ts';
import { connect } from '../../../src/cluster/connect.ts';
import { runGroups } from './group-scene.ts';

const [optionsFile = '', kubeconfig = '', words = ''] = process.argv.slice(2);
const options: { namespace: string; wish: GroupWish; run: ClaimsRun } = JSON.parse(readFileSync(optionsFile, 'utf8'));
const cluster = await connect({ kubeconfig });

await runGroups(cluster, options.namespace, options.wish, {
  ...options.run,
  common: {
    ...options.run.common,
    onEvent: ({ phase, message }) => {
      if (`${phase}: ${message}`.includes(words)) process.kill(process.pid, 'SIGKILL');
    },
  },
});
cluster.close();
