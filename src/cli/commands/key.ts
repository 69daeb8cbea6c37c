import { readFile } from 'node:fs/promises';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { addKey, changePassword, removeKey } from '../../repository/key-management.ts';
import { listKeys } from '../../repository/keys.ts';
import { defineCommand, text } from '../command.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatTable, formatTime, type Output, shortId } from '../output.ts';

const newPasswordFile = text('--new-password-file <path>', 'file with the new password');
const keyOptions = {
  newPasswordFile,
  user: text('--user <name>', 'whom the key is for, as `key list` shows it (default: this user)'),
  host: text('--host <name>', 'which machine it is for (default: this machine)'),
};

export const keyListCommand = defineCommand({
  options: {},
  examples: [['holdfast key list', 'who can open the repository; * is the key of this command']],
  exitCodes: [10, 11, 12],
  run: (_, __, context) =>
    withLockedRepository(context, async ({ store, keyId }) => {
      const { output } = context;
      const keys = (await listKeys(store)).map((key) => ({ ...key, current: key.id === keyId }));
      if (output.json) return output.value(keys);
      const columns = [{ title: ' ID' }, { title: 'USER' }, { title: 'HOST' }, { title: 'CREATED' }];
      const rows = keys.map(({ id, username, hostname, created, current }) => [
        `${current ? '*' : ' '}${shortId(id)}`,
        username,
        hostname,
        formatTime(created),
      ]);
      for (const line of formatTable(columns, rows, output.bold)) output.line(line);
    }),
});

export const keyAddCommand = defineCommand({
  description: 'Each key opens the whole repository; several people or programs can each have a password of their own.',
  options: keyOptions,
  examples: [['holdfast key add --new-password-file ~/second-password --user alice', 'one more password']],
  exitCodes: [10, 11, 12],
  run: async ({ newPasswordFile: path, user, host }, _, context) => {
    const password = await readNewPassword(path);
    await withLockedRepository(context, async (repository) => {
      const id = await addKey(repository, password, named(user, host));
      tell(context.output, { type: 'key-added', id }, `added key ${shortId(id)}`);
    });
  },
});

export const keyRemoveCommand = defineCommand({
  description:
    'The key that opens the repository for this command is never removed, so one always stays. Whoever had the ' +
    'password may have kept the master key: what is secret from them needs a new repository.',
  arguments: [{ name: '<key>', help: 'its id, or the beginning of it' }],
  options: {},
  examples: [['holdfast key remove 1f2e3d4c', 'that password opens nothing any more']],
  exitCodes: [10, 11, 12],
  run: (_, [name = ''], context) =>
    withLockedRepository(
      context,
      async (repository) => {
        const id = await removeKey(repository, name);
        tell(context.output, { type: 'key-removed', id }, `removed key ${shortId(id)}`);
      },
      { exclusive: true },
    ),
});

export const keyPasswdCommand = defineCommand({
  description: 'The key of this command is replaced by one with the new password. Other keys stay as they are.',
  options: keyOptions,
  examples: [['holdfast key passwd --new-password-file ~/new-password', 'another password']],
  exitCodes: [10, 11, 12],
  run: async ({ newPasswordFile: path, user, host }, _, context) => {
    const password = await readNewPassword(path);
    await withLockedRepository(
      context,
      async (repository) => {
        const id = await changePassword(repository, password, named(user, host));
        tell(context.output, { type: 'key-changed', id, removed: repository.keyId }, `the key is ${shortId(id)} now`);
      },
      { exclusive: true },
    );
  },
});

/** White space around it is not part of it, as in every password file. */
async function readNewPassword(path: string | undefined): Promise<string> {
  if (path === undefined)
    throw new HoldfastError('USAGE', { problem: 'Give the new password with --new-password-file' });
  let password: string;
  try {
    password = (await readFile(path, 'utf8')).trim();
  } catch (error) {
    const reason = messageOf(error);
    throw new HoldfastError('SOURCE_UNREADABLE', { path: `the password file ${path}`, reason }, { cause: error });
  }
  if (password === '') throw new HoldfastError('USAGE', { problem: `The password file ${path} is empty` });
  return password;
}

function named(username: string | undefined, hostname: string | undefined) {
  return { ...(username === undefined ? {} : { username }), ...(hostname === undefined ? {} : { hostname }) };
}

function tell(output: Output, value: unknown, line: string): void {
  if (output.json) output.value(value);
  else output.line(line);
}
