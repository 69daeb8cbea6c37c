/**
 * How far a run is, on stderr: one line that is redrawn on a terminal, a line now and then elsewhere, nothing with --json.
 */
import type { Output } from './output.ts';

export interface Progress {
  /** Cheap: may be called as often as the run likes. `text` is made only when it is shown. */
  update(text: () => string): void;
  /** Removes the redrawn line. A message in between goes through here, so that it does not end up in that line. */
  clear(): void;
}

const redrawMs = 100;
/** Elsewhere the first line comes late and later ones further apart: a short run is quiet, a long one fills no log. */
const firstLineMs = 10_000;
const longestGapMs = 300_000;

export function createProgress(output: Output, nowMs: () => number = Date.now): Progress {
  if (output.json) return { update: () => {}, clear: () => {} };
  return output.stderr.isTTY ? redrawnLine(output, nowMs) : sparseLines(output, nowMs);
}

function redrawnLine(output: Output, nowMs: () => number): Progress {
  let nextMs = nowMs() + redrawMs;
  let shown = false;
  return {
    update: (text) => {
      if (nowMs() < nextMs) return;
      nextMs = nowMs() + redrawMs;
      shown = true;
      output.stderr.write(`\r${text().slice(0, (output.stderr.columns ?? 80) - 1)}\x1b[K`);
    },
    clear: () => {
      if (shown) output.stderr.write('\r\x1b[K');
      shown = false;
    },
  };
}

function sparseLines(output: Output, nowMs: () => number): Progress {
  const startMs = nowMs();
  let nextMs = startMs + firstLineMs;
  return {
    update: (text) => {
      const now = nowMs();
      if (now < nextMs) return;
      output.note(text());
      nextMs = now + Math.min(now - startMs, longestGapMs);
    },
    clear: () => {},
  };
}

/** `[########------------]  40%`; undefined total: no bar. */
export function formatBar(done: number, total: number, width = 20): string {
  const share = total > 0 ? Math.min(done / total, 1) : 0;
  const filled = Math.floor(share * width);
  return `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}] ${String(Math.floor(share * 100)).padStart(3)}%`;
}
