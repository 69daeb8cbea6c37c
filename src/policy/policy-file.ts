/**
 * Reads a policy file: one or more YAML documents, each a Repository or a BackupPolicy. All that is wrong is told at
 * once, each with its line, column and key.
 */
import { type Document, isMap, isNode, isScalar, LineCounter, type ParsedNode, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { type BackupPolicy, policySchema, type RepositoryDocument, repositorySchema } from './schema.ts';
import { knownKeysAt } from './schema-paths.ts';
import { suggestion } from './suggestion.ts';

export interface PolicyFile {
  /** Each with the repository that it names. */
  readonly policies: readonly PolicyWithRepository[];
}

export interface PolicyWithRepository {
  readonly policy: BackupPolicy;
  readonly repository: RepositoryDocument;
}

type YamlDocument = Document.Parsed<ParsedNode>;
type KeyPath = readonly PropertyKey[];

interface Problem {
  readonly offset: number;
  readonly words: string;
}

interface Found<T> {
  readonly content: T;
  readonly document: YamlDocument;
}

const schemas = { Repository: repositorySchema, BackupPolicy: policySchema };

/** Throws POLICY_INVALID with source, line, column and key of everything that is wrong. */
export function parsePolicyFile(text: string, source: string): PolicyFile {
  const lines = new LineCounter();
  const policies: Found<BackupPolicy>[] = [];
  const repositories: RepositoryDocument[] = [];
  const problems: Problem[] = [];
  for (const document of parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true })) {
    if (!('contents' in document) || document.contents === null) continue;
    const found = readDocument(document, problems);
    if (found?.kind === 'Repository') repositories.push(found);
    else if (found) policies.push({ content: found, document });
  }
  if (problems.length === 0) problems.push(...findDoubles(policies, repositories));
  if (policies.length === 0 && problems.length === 0)
    problems.push({ offset: 0, words: 'there is no BackupPolicy in it' });
  const complete = policies.map(({ content, document }) => {
    const repository = repositoryOf(content, repositories);
    if (repository === undefined && problems.length === 0) problems.push(withoutRepository(content, document));
    return { policy: content, repository };
  });
  if (problems.length > 0) throw invalid(source, lines, problems);
  return { policies: complete.filter((one): one is PolicyWithRepository => one.repository !== undefined) };
}

/** The policy of that name (`name` or `namespace/name`), or the only one. Throws POLICY_INVALID. */
export function findPolicy(file: PolicyFile, wanted: string | undefined, source: string): PolicyWithRepository {
  const named = ({ policy }: { policy: BackupPolicy }) => wanted === policy.metadata.name || wanted === titleOf(policy);
  const found = wanted === undefined ? file.policies : file.policies.filter(named);
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const names = file.policies.map(({ policy }) => titleOf(policy)).join(', ');
  const problem =
    wanted === undefined
      ? `it has ${found.length} policies; name one of: ${names}`
      : `${wanted} is not one of: ${names}`;
  throw new HoldfastError('POLICY_INVALID', { source, problem });
}

function readDocument(document: YamlDocument, problems: Problem[]): BackupPolicy | RepositoryDocument | undefined {
  for (const error of document.errors)
    problems.push({ offset: error.pos[0], words: error.message.split('\n')[0] ?? '' });
  if (document.errors.length > 0) return undefined;
  const content = valuesOf(document, problems);
  if (content === undefined) return undefined;
  const kind = z.looseObject({ kind: z.enum(['Repository', 'BackupPolicy']) }).safeParse(content);
  if (!kind.success) {
    problems.push({ offset: offsetOf(document, ['kind']), words: 'kind has to be BackupPolicy or Repository' });
    return undefined;
  }
  const schema = schemas[kind.data.kind];
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) problems.push(...problemsOf(issue, schema, document));
  return undefined;
}

/** Aliases are only followed here: one may name no anchor, or unfold without end. */
function valuesOf(document: YamlDocument, problems: Problem[]): unknown {
  try {
    return document.toJS();
  } catch (error) {
    problems.push({ offset: offsetOf(document, []), words: messageOf(error) });
    return undefined;
  }
}

function problemsOf(issue: z.core.$ZodIssue, schema: z.ZodType, document: YamlDocument): Problem[] {
  if (issue.code !== 'unrecognized_keys') {
    // A key of a map that is no name, such as a label.
    const inner = issue.code === 'invalid_key' ? issue.issues[0]?.message : undefined;
    const at = issue.path.map(String).join('.') || 'the document';
    return [{ offset: offsetOf(document, issue.path), words: `${at}: ${inner ?? issue.message}` }];
  }
  return issue.keys.map((key) => {
    const path = [...issue.path, key];
    const meant = suggestion(key, knownKeysAt(schema, issue.path));
    const hint = meant === undefined ? '' : ` (did you mean ${meant}?)`;
    return {
      offset: offsetOf(document, path, 'key'),
      words: `${path.map(String).join('.')} is not a field that is known${hint}`,
    };
  });
}

function repositoryOf(
  { spec, metadata }: BackupPolicy,
  repositories: readonly RepositoryDocument[],
): RepositoryDocument | undefined {
  return repositories.find(
    (one) => one.metadata.name === spec.repository.name && one.metadata.namespace === metadata.namespace,
  );
}

function withoutRepository(policy: BackupPolicy, document: YamlDocument): Problem {
  const title = `${policy.metadata.namespace}/${policy.spec.repository.name}`;
  const words = `spec.repository.name: there is no Repository ${title} in this file`;
  return { offset: offsetOf(document, ['spec', 'repository']), words };
}

/** Two of one name: which of them was meant nobody can tell. */
function findDoubles(policies: readonly Found<BackupPolicy>[], repositories: readonly RepositoryDocument[]): Problem[] {
  const doubles = policies.filter(({ content }, at) =>
    policies.slice(0, at).some((other) => titleOf(other.content) === titleOf(content)),
  );
  const problems = doubles.map(({ content, document }) => ({
    offset: offsetOf(document, ['metadata', 'name']),
    words: `metadata.name: there are several BackupPolicies ${titleOf(content)}`,
  }));
  const titles = repositories.map(titleOf);
  const double = titles.find((title, at) => titles.indexOf(title) !== at);
  return double === undefined
    ? problems
    : [...problems, { offset: 0, words: `there are several Repositories ${double}` }];
}

function titleOf({ metadata }: BackupPolicy | RepositoryDocument): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** Where the value under a path (or its key), or the nearest thing above it that is there, begins in the text. */
function offsetOf(document: YamlDocument, path: KeyPath, part: 'key' | 'value' = 'value'): number {
  for (let length = path.length; length > 0; length--) {
    const key = part === 'key' && length === path.length ? keyOffset(document, path) : undefined;
    if (key !== undefined) return key;
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return document.contents?.range[0] ?? document.range[0];
}

function keyOffset(document: YamlDocument, path: KeyPath): number | undefined {
  const map: unknown = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (!isMap(map)) return undefined;
  const pair = map.items.find(({ key }) => isScalar(key) && key.value === path.at(-1));
  return isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
}

/** `policy.yaml:13:5: spec.x is …`, one line for each problem, in the order of the file. */
function invalid(source: string, lines: LineCounter, problems: readonly Problem[]): HoldfastError {
  const placed = problems
    .toSorted((a, b) => a.offset - b.offset)
    .map(({ offset, words }) => ({ ...lines.linePos(offset), words }));
  const [first] = placed;
  const more = placed.slice(1).map(({ line, col, words }) => `.\n${source}:${line}:${col}: ${words}`);
  const { line = 1, col = 1, words = '' } = first ?? {};
  return new HoldfastError('POLICY_INVALID', {
    source: `${source}:${line}:${col}`,
    problem: `${words}${more.join('')}`,
    line,
    column: col,
  });
}
