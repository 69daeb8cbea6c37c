/**
 * Tests that need something which not every machine has. Where it is missing they are skipped, and the summary of the run
 * names them with the reason; in continuous integration (CI=true) they fail instead, but for what is only run on request.
 */
import { appendFileSync } from 'node:fs';
import { describe, expect, inject, test } from 'vitest';
import type { S3Access } from './s3-server.ts';

export type Need = 'restic' | 'rustic' | 'restic-source' | 's3' | 'root' | 'mount' | 'openssl';

/** What no machine has unless somebody asked for it. */
const onRequest: ReadonlySet<Need> = new Set(['rustic', 'restic-source']);

declare module 'vitest' {
  interface ProvidedContext {
    /** The server of this run, where there is one. */
    s3?: S3Access | undefined;
    /** Why a need cannot be met; absent when it is. */
    missing: Partial<Record<Need, string>>;
    /** Where tests that were not run are written down, one JSON object a line. */
    notRunFile: string;
    /** Where the kill matrices write down how much they covered, one JSON object a line. */
    killPointsFile: string;
    isCi: boolean;
  }
}

/** A describe that runs only where the need is met. */
export function describeWith(need: Need, title: string, body: () => void): void {
  const reason = inject('missing')[need];
  if (reason === undefined) describe(title, body);
  else if (onRequest.has(need)) skipped(title, reason);
  else notRun(title, reason);
}

/** A test that runs only where the need is met. */
export function testWith(need: Need, title: string, body: () => Promise<void> | void): void {
  const reason = inject('missing')[need];
  if (reason === undefined) test(title, body);
  else if (onRequest.has(need)) skipped(title, reason);
  else notRun(title, reason);
}

/** Writes down that something was not run, and skips it; with CI=true it fails. */
export function notRun(title: string, reason: string): void {
  if (inject('isCi')) {
    test(title, () => {
      expect.fail(`not run, because ${reason}`);
    });
    return;
  }
  skipped(title, reason);
}

function skipped(title: string, reason: string): void {
  const file = expect.getState().testPath ?? '';
  appendFileSync(inject('notRunFile'), `${JSON.stringify({ title, reason, file })}\n`);
  test.skip(`${title} (not run: ${reason})`, () => undefined);
}

/** The S3 server of this run. Only below describeWith('s3', …). */
export function s3Access(): S3Access {
  const access = inject('s3');
  if (!access) throw new TypeError("only a test below describeWith('s3', …) may ask for the S3 server");
  return access;
}
