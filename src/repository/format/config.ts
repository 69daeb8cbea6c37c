/** The config file: what a repository is (restic format v2, "config"). */
import { HoldfastError } from '../../base/errors.ts';
import { damaged, Fields, parseObject } from './document.ts';
import { goJson } from './go-json.ts';
import { isIrreducible } from './polynomial.ts';

export interface RepositoryConfig {
  readonly version: 1 | 2;
  /** 64 hex digits, drawn once. */
  readonly id: string;
  /** Hex without leading zeros; irreducible over GF(2). */
  readonly chunker_polynomial: string;
  /** How files are cut; without it, by restic's Rabin chunker. */
  readonly holdfast_chunker?: 'gear-v1';
  /** rustic's mark: files may be added, never removed. */
  readonly append_only?: boolean;
  /** Fields of other tools, written back unchanged. */
  readonly other?: Readonly<Record<string, unknown>>;
}

const known: ReadonlySet<string> = new Set(['version', 'id', 'chunker_polynomial', 'holdfast_chunker', 'append_only']);

export function encodeConfig(config: RepositoryConfig): Buffer {
  const { other, ...fields } = config;
  return Buffer.from(goJson({ ...fields, ...other }));
}

/** Throws FILE_DAMAGED, or REPOSITORY_UNSUPPORTED for what this program must not touch. */
export function decodeConfig(bytes: Uint8Array, url: string): RepositoryConfig {
  const document = { kind: 'config', name: 'config' };
  const object = parseObject(bytes, document);
  const fields = new Fields(object, document);
  const version = fields.need('version', fields.integer('version'));
  if (version !== 1 && version !== 2) throw unsupported(url, `its format has version ${version}`);
  const chunker = fields.text('holdfast_chunker');
  if (chunker !== undefined && chunker !== 'gear-v1') throw unsupported(url, `its chunker "${chunker}" is not known`);
  const polynomial = fields.need('chunker_polynomial', fields.text('chunker_polynomial'));
  if (!/^[0-9a-f]{1,16}$/.test(polynomial) || !isIrreducible(BigInt(`0x${polynomial}`))) {
    throw damaged(document, 'its chunker polynomial is not irreducible');
  }
  const other = Object.entries(object).filter(([field]) => !known.has(field));
  return {
    version,
    id: fields.need('id', fields.id('id')),
    chunker_polynomial: polynomial,
    ...(chunker === undefined ? {} : { holdfast_chunker: chunker }),
    ...(fields.flag('append_only') === undefined ? {} : { append_only: fields.flag('append_only') === true }),
    ...(other.length > 0 ? { other: Object.fromEntries(other) } : {}),
  };
}

function unsupported(url: string, reason: string): HoldfastError {
  return new HoldfastError('REPOSITORY_UNSUPPORTED', { url, reason });
}
