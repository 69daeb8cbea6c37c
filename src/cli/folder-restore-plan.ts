/** `restore --dir --plan`: a line for each entry that would change, and how many there are of each kind. */
import { HoldfastError } from '../base/errors.ts';
import { formatSize } from '../base/units.ts';
import type { Repository } from '../repository/repository.ts';
import {
  type PreviewedEntry,
  type PreviewOptions,
  previewRestore,
  type RestoreAction,
} from '../volume/restore-preview.ts';
import { formatAmount, type Output } from './output.ts';
import { pathJson, shownPath } from './shown-path.ts';

const meanings: Readonly<Record<RestoreAction, string>> = {
  create: 'is not there, and is made',
  update: 'has other content, which is corrected',
  replace: 'is something else, and is replaced',
  attributes: 'has other attributes, which are corrected',
  keep: 'is right already',
  leave: 'is there, and is left as it is',
  delete: 'is not in the backup, and is deleted',
};

interface Counted {
  entries: number;
  bytes: number;
}

type Wanted = Omit<PreviewOptions, 'onEntry' | 'onError'>;

/** With --json every entry, also those that stay. Throws RESTORE_INCOMPLETE where something could not be looked at. */
export async function showRestorePlan(repository: Repository, wanted: Wanted, output: Output): Promise<void> {
  const counts = new Map<RestoreAction, Counted>();
  let problems = 0;
  await previewRestore(repository, {
    ...wanted,
    onEntry: (entry) => {
      const counted = counts.get(entry.action) ?? { entries: 0, bytes: 0 };
      counts.set(entry.action, { entries: counted.entries + 1, bytes: counted.bytes + entry.sizeBytes });
      show(entry, output);
    },
    onError: (path, message) => {
      problems += 1;
      const json = { type: 'file-error', ...pathJson(path), message };
      output.problem(`cannot plan ${shownPath(path)}: ${message}`, json);
    },
  });
  if (output.json) {
    output.value({ type: 'plan', backupId: wanted.snapshot.id, target: wanted.target, ...Object.fromEntries(counts) });
  } else {
    output.line(`into ${wanted.target}:`);
    for (const [action, { entries, bytes }] of counts) {
      const size = bytes > 0 ? `, ${formatSize(bytes)}` : '';
      output.line(
        `  ${action.padEnd(10)} ${formatAmount(entries, 'entry', 'entries')}${size}: what ${meanings[action]}`,
      );
    }
    output.line('Nothing was changed.');
  }
  if (problems > 0) throw new HoldfastError('RESTORE_INCOMPLETE', { target: wanted.target, count: problems });
}

function show({ action, type, path, sizeBytes }: PreviewedEntry, output: Output): void {
  if (output.json) {
    const kind = type === undefined ? {} : { kind: type };
    output.value({ type: 'entry', action, ...kind, ...pathJson(path), ...(type === 'file' ? { sizeBytes } : {}) });
  } else if (action !== 'keep') output.line(`${action.padEnd(10)} ${shownPath(path)}`);
}
