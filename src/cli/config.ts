/**
 * The only reader of the environment: flags first, then HOLDFAST_* variables, then restic's.
 */
import { readFile } from 'node:fs/promises';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { parseDuration, parseSize } from '../base/units.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The options that every command takes. */
export interface GlobalOptions {
  readonly repo?: string;
  readonly passwordFile?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly option?: readonly string[];
  readonly cacert?: string;
  readonly tlsClientCert?: string;
  readonly retryLock?: string;
  readonly limitUpload?: string;
  readonly limitDownload?: string;
}

export interface Settings {
  /** The address as given, or undefined. Commands that need one call `repositoryUrl`. */
  readonly repository: string | undefined;
  readonly json: boolean;
  readonly verbose: boolean;
  readonly kubeconfig: string | undefined;
  readonly kubeContext: string | undefined;
  /** The image that movers run, where no flag names one. */
  readonly moverImage: string | undefined;
  /** Holdfast's own namespace. */
  readonly ownNamespace: string;
  /** In a mover's pod: where it leaves its answer. */
  readonly moverAnswerFile: string | undefined;
  /** Whole environment, for credentials and options of the store (flags are in it too) and for a mover's job. */
  readonly env: Environment;
  readonly passwordSource: PasswordSource;
  /** How long to wait for a lock that others hold. */
  readonly retryLockMs: number;
  /** undefined: as fast as it goes. */
  readonly uploadBytesPerSecond: number | undefined;
  readonly downloadBytesPerSecond: number | undefined;
}

/** Where the password is, not the password: it is read when a repository is opened, and printed nowhere. */
export type PasswordSource =
  | { readonly kind: 'file'; readonly path: string; readonly from: string }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'none' };

export function readSettings(options: GlobalOptions, env: Environment): Settings {
  return {
    repository: options.repo ?? filled(env, 'HOLDFAST_REPOSITORY') ?? filled(env, 'RESTIC_REPOSITORY'),
    json: options.json ?? false,
    verbose: options.verbose ?? false,
    kubeconfig: options.kubeconfig,
    kubeContext: options.context,
    moverImage: filled(env, 'HOLDFAST_MOVER_IMAGE'),
    ownNamespace: filled(env, 'HOLDFAST_NAMESPACE') ?? 'holdfast',
    moverAnswerFile: filled(env, 'HOLDFAST_ANSWER_FILE'),
    env: { ...env, ...storeFlags(options, env) },
    passwordSource: passwordSource(options.passwordFile, env, ''),
    retryLockMs: options.retryLock === undefined ? 0 : parseDuration(options.retryLock),
    uploadBytesPerSecond: rate('--limit-upload', options.limitUpload),
    downloadBytesPerSecond: rate('--limit-download', options.limitDownload),
  };
}

/** `512` is KiB a second, as in restic, `2Mi` is what it says; 0 is no limit. Throws USAGE. */
function rate(option: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const bytesPerSecond = /^\d+$/.test(given) ? Number(given) * 1024 : parseSize(given);
  if (Number.isSafeInteger(bytesPerSecond)) return bytesPerSecond === 0 ? undefined : bytesPerSecond;
  throw new HoldfastError('USAGE', { problem: `${option} ${given}: this is too much` });
}

/** Where a command that copies reads from. */
export interface SourceOptions {
  readonly repository: string | undefined;
  readonly passwordFile: string | undefined;
}

/**
 * The settings for a second repository, from which data is read. Its password has options and variables of its own; its
 * store has the credentials of the first one, unless there are HOLDFAST_FROM_AWS_* variables: then it has only those.
 */
export function sourceSettings(settings: Settings, { repository, passwordFile }: SourceOptions): Settings {
  const { env } = settings;
  const prefix = 'HOLDFAST_FROM_AWS_';
  const own = Object.entries(env).filter(([name, value]) => name.startsWith(prefix) && value !== '');
  const rest = Object.entries(env).filter(([name]) => !name.startsWith('AWS_'));
  const renamed = own.map(([name, value]) => [name.slice('HOLDFAST_FROM_'.length), value]);
  return {
    ...settings,
    repository: repository ?? filled(env, 'HOLDFAST_FROM_REPOSITORY') ?? filled(env, 'RESTIC_FROM_REPOSITORY'),
    env: own.length > 0 ? Object.fromEntries([...rest, ...renamed]) : env,
    passwordSource: passwordSource(passwordFile, env, 'FROM_'),
  };
}

/** The flags for stores as the variables that say the same: threads and movers get at them as at the credentials. */
function storeFlags({ option, cacert, tlsClientCert }: GlobalOptions, env: Environment): Environment {
  const given = option?.find((pair) => !/^[^\s=]+=\S+$/.test(pair));
  if (given !== undefined) throw new HoldfastError('USAGE', { problem: `-o ${given}: expected NAME=VALUE` });
  return {
    ...(option === undefined ? {} : { HOLDFAST_OPTIONS: [env.HOLDFAST_OPTIONS ?? '', ...option].join(' ') }),
    ...(cacert === undefined ? {} : { HOLDFAST_CACERT: cacert }),
    ...(tlsClientCert === undefined ? {} : { HOLDFAST_TLS_CLIENT_CERT: tlsClientCert }),
  };
}

/** Throws USAGE where no repository was named. */
export function repositoryUrl(settings: Settings): string {
  if (settings.repository !== undefined) return settings.repository;
  throw new HoldfastError('USAGE', {
    problem: 'No repository was named: give --repo ADDRESS or set HOLDFAST_REPOSITORY',
  });
}

/**
 * Reads the password. Throws PASSWORD_MISSING where none was
 * given or it is empty, SOURCE_UNREADABLE where the file cannot be read.
 */
export async function readPassword(settings: Settings): Promise<string> {
  const password = await passwordFrom(settings.passwordSource, settings.env);
  if (password === '') throw new HoldfastError('PASSWORD_MISSING');
  return password;
}

const storeVariables = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_REGION',
  'AWS_DEFAULT_REGION',
  'HOLDFAST_OPTIONS',
];
/** A Secret holds 1 MiB; the other fields of it take little. */
const mostSecretBytes = 1_000_000;

/**
 * Password, credentials and options of the store, as a mover in a pod finds them in its Secret; certificates as text. Throws STORE_OPTION_INVALID and SOURCE_UNREADABLE for options and files that cannot be used.
 */
export async function readCredentials(settings: Settings): Promise<Readonly<Record<string, string>>> {
  const { env } = settings;
  const [{ readS3Settings }, { readPem }] = await Promise.all([
    import('../store/s3-settings.ts'),
    import('../store/tls-files.ts'),
  ]);
  const { authorities, clientCertificate } = readS3Settings(env);
  const found = storeVariables.map((name): [string, string] => [name, filled(env, name) ?? '']);
  if (authorities) found.push(['HOLDFAST_CACERT', await readPem(authorities)]);
  if (clientCertificate) found.push(['HOLDFAST_TLS_CLIENT_CERT', await readPem(clientCertificate)]);
  const [name = '', longest = ''] = found.toSorted((a, b) => b[1].length - a[1].length)[0] ?? [];
  if (longest.length > mostSecretBytes) {
    const from =
      name === 'HOLDFAST_CACERT' ? 'the certificates of --cacert, RESTIC_CACERT or AWS_CA_BUNDLE have' : `${name} has`;
    const problem = `${from} ${longest.length} bytes, and a Secret holds 1 MiB: name a file with only what a mover needs`;
    throw new HoldfastError('USAGE', { problem });
  }
  const known = found.filter(([, value]) => value !== '');
  return { ...Object.fromEntries(known), HOLDFAST_PASSWORD: await readPassword(settings) };
}

/** Colours where a person looks at a terminal and has not asked for none (https://no-color.org). */
export function wantsColour(isTerminal: boolean, env: Environment): boolean {
  return isTerminal && filled(env, 'NO_COLOR') === undefined && env.TERM !== 'dumb';
}

async function passwordFrom(source: PasswordSource, env: Environment): Promise<string> {
  if (source.kind === 'none') return '';
  if (source.kind === 'variable') return env[source.name] ?? '';
  try {
    // White space around it is not part of it: restic reads password files so.
    return (await readFile(source.path, 'utf8')).trim();
  } catch (error) {
    const reason = `${messageOf(error)} (${source.from})`;
    throw new HoldfastError(
      'SOURCE_UNREADABLE',
      { path: `the password file ${source.path}`, reason },
      { cause: error },
    );
  }
}

/** `which` is part of the names of variables: FROM_ for the repository that is copied from. */
function passwordSource(flag: string | undefined, env: Environment, which: '' | 'FROM_'): PasswordSource {
  const option = which === '' ? '--password-file' : '--from-password-file';
  if (flag !== undefined) return { kind: 'file', path: flag, from: option };
  const variables = [`HOLDFAST_${which}PASSWORD`, `RESTIC_${which}PASSWORD`];
  for (const name of variables.map((variable) => `${variable}_FILE`)) {
    const path = filled(env, name);
    if (path !== undefined) return { kind: 'file', path, from: name };
  }
  const name = variables.find((variable) => filled(env, variable) !== undefined);
  return name === undefined ? { kind: 'none' } : { kind: 'variable', name };
}

/** An empty variable counts as not set. */
function filled(env: Environment, name: string): string | undefined {
  return env[name] === '' ? undefined : env[name];
}
