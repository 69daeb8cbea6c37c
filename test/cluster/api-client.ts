/** Reads from the API server with the admin's token: for polling, where starting kubectl each time would cost more. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { adminToken } from './certificates.ts';
import type { ClusterLayout } from './layout.ts';

export type ReadApi = (path: string) => Promise<unknown>;

/** Resolves with the decoded answer (text when it is not JSON); rejects for any status but 200. */
export function openApi(layout: ClusterLayout): ReadApi {
  const ca = readFileSync(join(layout.pki, 'ca.crt'));
  const headers = { authorization: `Bearer ${adminToken}` };
  return (path) =>
    new Promise((resolve, reject) => {
      const call = request(`${layout.apiServer}${path}`, { ca, headers, timeout: 5000 }, async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk);
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode !== 200) reject(new Error(`${path}: ${response.statusCode} ${text.slice(0, 200)}`));
        else resolve(response.headers['content-type'] === 'application/json' ? JSON.parse(text) : text);
      });
      call.on('timeout', () => call.destroy(new Error(`${path}: no answer in 5 s`)));
      call.on('error', reject);
      call.end();
    });
}
