/** docs/errors.md, made from the catalogue; `npm run docs:errors` writes it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { catalog, type ErrorEntry } from '../../src/base/error-catalog.ts';

export const errorsPagePath = resolve(import.meta.dirname, '../../docs/errors.md');

export function errorsPage(): string {
  const entries: [string, ErrorEntry][] = Object.entries(catalog);
  const sections = entries.map(([code, { message, hint, exitCode = 1, retryable = false }]) =>
    [
      `## ${code}`,
      '',
      `> ${message}`,
      '',
      `What to do: ${hint}`,
      '',
      `Exit code ${exitCode}${retryable ? '. The same call can succeed later without anyone changing anything' : ''}.`,
      '',
    ].join('\n'),
  );
  return [intro, ...sections].join('\n');
}

const intro = `# Errors

Every failure that Holdfast foresees has a code. Codes are permanent: scripts and alerts may match on them.
With \`--json\` a failure is one line on stderr,
\`{"type":"error","code":…,"message":…,"hint":…,"exitCode":…,"retryable":…,"context":{…}}\`;
\`context\` holds the values that stand in {braces} below. A failure without such a code is a bug and is shown with its stack.

This page is made from src/base/error-catalog.ts by \`npm run docs:errors\`.
`;

if (import.meta.main) writeFileSync(errorsPagePath, errorsPage());

export function readErrorsPage(): string {
  return readFileSync(errorsPagePath, 'utf8');
}
