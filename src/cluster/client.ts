/**
 * The only door to the API server: raw JSON in and out, a deadline on every call, retries where a call can be repeated.
 * No typed models: they drop the fields they do not know.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { isPassing, refusal, unreachable } from './api-error.ts';
import { type ExecOptions, type ExecResult, execInPod, type PodCommand } from './exec.ts';
import { asObject, isRecord, type KubeObject, listAt, type NewObject, parseJson, textAt, valueAt } from './object.ts';
import { describeRef, type ListOptions, pathOf, type Ref, type Resource, refOf } from './resources.ts';
import { type Answer, type Call, type Endpoint, send, sendForLines } from './transport.ts';
import { type Probe, type SetProbe, type WaitOptions, type WatchSource, waitForObject, waitForSet } from './wait.ts';

export type Patch = { readonly merge: object } | { readonly json: readonly JsonPatchStep[] };

export interface JsonPatchStep {
  readonly op: 'add' | 'remove' | 'replace' | 'test';
  readonly path: string;
  readonly value?: unknown;
}

export interface RemoveOptions {
  /** Only the object with this UID; another one of that name is left alone and counts as gone. */
  readonly uid?: string;
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
  readonly graceSeconds?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Cluster {
  readonly server: string;
  /** undefined where there is no such object, or no such kind in this cluster. */
  get(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    signal?: AbortSignal,
  ): Promise<KubeObject | undefined>;
  /** Whether the API server knows the kind: its CRD may be missing. Says nothing of anybody working on it (R1.1). */
  serves(resource: Resource, signal?: AbortSignal): Promise<boolean>;
  /** All of them, page by page. A kind that the cluster does not know lists nothing. */
  list(resource: Resource, options?: ListOptions): Promise<KubeObject[]>;
  /**
   * Creates under a fixed name. An object of that name that carries all labels of the new one counts as created by an
   * earlier try of this call; any other is CLUSTER_FAILED with status 409.
   */
  create(object: NewObject, signal?: AbortSignal): Promise<KubeObject>;
  /** A JSON patch is sent once and never repeated, a merge patch is repeated. */
  patch(ref: Ref, patch: Patch, signal?: AbortSignal): Promise<KubeObject>;
  /** An object that is gone already is not an error. */
  remove(ref: Ref, options?: RemoveOptions): Promise<void>;
  /** Waits until the probe finds what it looks for in the object (undefined while it is not there). */
  waitFor<T>(ref: Ref, probe: Probe<T>, options: WaitOptions): Promise<T>;
  /** The same over all objects of a selection. */
  waitForList<T>(resource: Resource, selection: ListOptions, probe: SetProbe<T>, options: WaitOptions): Promise<T>;
  /** The last lines of a container's log; empty where the container never ran. */
  logs(namespace: string, pod: string, options?: { container?: string; tailLines?: number }): Promise<string>;
  /** Runs a command in a container; its rules are told at execInPod. */
  exec(target: PodCommand, options: ExecOptions): Promise<ExecResult>;
  /** Whether this account may do that; asks the API server's authorizer and does nothing (SelfSubjectAccessReview). */
  allows(action: Action, signal?: AbortSignal): Promise<boolean>;
  /** Closes idle connections. */
  close(): void;
}

export interface Action {
  readonly verb: string;
  /** API group, '' for the core. */
  readonly group: string;
  /** With its subresource, such as `pods/log`. */
  readonly resource: string;
  readonly namespace?: string | undefined;
}

const CALL_TIMEOUT_MS = 30_000;
const ATTEMPTS = 6;
const PAGE = 500;

interface Request extends Omit<Call, 'timeoutMs'> {
  readonly verb: string;
  readonly resource: string;
  readonly repeat?: boolean;
}

export function clusterAt(endpoint: Endpoint, close: () => void = () => {}, clock: Clock = systemClock): Cluster {
  const call = (request: Request): Promise<Answer> => callWithRetries(endpoint, clock, request);
  const source: WatchSource = {
    list: (resource, selection) => listAll(call, resource, selection),
    watch: (resource, selection, resourceVersion, timeoutMs, signal) =>
      sendForLines(endpoint, watchCall(resource, selection, resourceVersion, timeoutMs, signal)),
  };
  return {
    server: endpoint.server,
    get: (resource, namespace, name, signal) => getOne(call, { resource, namespace, name }, signal),
    serves: (resource, signal) => isServed(call, resource, signal),
    list: async (resource, options = {}) => (await listAll(call, resource, options)).items,
    create: (object, signal) => createOne(call, object, signal),
    patch: (ref, patch, signal) => patchOne(call, ref, patch, signal),
    remove: (ref, options = {}) => removeOne(call, ref, options),
    waitFor: (ref, probe, options) => waitForObject(source, clock, ref, probe, options),
    waitForList: (resource, selection, probe, options) =>
      waitForSet(source, clock, resource, selection, probe, options),
    logs: (namespace, pod, options = {}) => readLog(call, namespace, pod, options),
    allows: (action, signal) => isAllowed(call, action, signal),
    exec: (target, options) => execInPod(endpoint, target, options),
    close,
  };
}

type Caller = (request: Request) => Promise<Answer>;

async function callWithRetries(endpoint: Endpoint, clock: Clock, request: Request): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const last = attempt >= ATTEMPTS || request.repeat === false;
    let pauseMs = Math.min(8_000, 250 * 2 ** attempt) * (0.5 + Math.random() / 2);
    try {
      const answer = await send(endpoint, { ...request, timeoutMs: CALL_TIMEOUT_MS });
      if (!isPassing(answer.status) || last) return answer;
      pauseMs = Math.max(pauseMs, Math.min(answer.retryAfterMs ?? 0, CALL_TIMEOUT_MS));
    } catch (error) {
      request.signal?.throwIfAborted();
      if (last || !isConnectionError(error)) throw unreachable(error, endpoint.server);
    }
    await clock.sleep(pauseMs, request.signal);
  }
}

/** Certificates that are refused and names that do not exist stay so; a cut or refused connection may not. */
function isConnectionError(error: unknown): boolean {
  if (error instanceof Error && error.name === 'CallTimeout') return true;
  const code = isRecord(error) ? textAt(error, 'code') : undefined;
  return (
    code !== undefined && /^(ECONNRESET|ECONNREFUSED|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN)$/.test(code)
  );
}

async function getOne(call: Caller, ref: Ref, signal?: AbortSignal): Promise<KubeObject | undefined> {
  const path = pathOf(ref.resource, ref.namespace, ref.name);
  const answer = await call({ method: 'GET', path, verb: 'get', resource: describeRef(ref), signal });
  return answer.status === 404 ? undefined : readObject(answer, 'get', describeRef(ref));
}

async function isServed(call: Caller, resource: Resource, signal?: AbortSignal): Promise<boolean> {
  const path = pathOf(resource);
  const request = { method: 'GET', path, query: { limit: 1 }, verb: 'list', resource: resource.plural } as const;
  const answer = await call({ ...request, signal });
  if (answer.status === 404) return false;
  readAnswer(answer, 'list', resource.plural);
  return true;
}

async function listAll(call: Caller, resource: Resource, options: ListOptions) {
  const items: KubeObject[] = [];
  let next: string | undefined;
  for (;;) {
    const query = { ...selectorQuery(options), limit: PAGE, continue: next };
    const path = pathOf(resource, options.namespace);
    const answer = await call({
      method: 'GET',
      path,
      query,
      verb: 'list',
      resource: resource.plural,
      signal: options.signal,
    });
    if (answer.status === 404) return { items: [], resourceVersion: '', missing: true };
    if (answer.status === 410 && next !== undefined) {
      // The list changed too much while it was paged through.
      items.length = 0;
      next = undefined;
      continue;
    }
    const page = readAnswer(answer, 'list', resource.plural);
    for (const item of listAt(page, 'items')) items.push(asObject(item, resource));
    next = textAt(page, 'metadata', 'continue') || undefined;
    if (next === undefined)
      return { items, resourceVersion: textAt(page, 'metadata', 'resourceVersion') ?? '', missing: false };
  }
}

async function createOne(call: Caller, object: NewObject, signal?: AbortSignal): Promise<KubeObject> {
  const ref = refOf(object);
  const path = pathOf(ref.resource, ref.namespace);
  const request = { verb: 'create', resource: describeRef(ref), signal } as const;
  const answer = await call({ ...request, method: 'POST', path, body: JSON.stringify(object) });
  if (answer.status === 409) {
    const existing = await getOne(call, ref, signal);
    if (existing !== undefined && isOurs(existing, object)) return existing;
  }
  return readObject(answer, 'create', describeRef(ref));
}

function isOurs(existing: KubeObject, wanted: NewObject): boolean {
  const labels = Object.entries(wanted.metadata.labels ?? {});
  if (labels.length === 0 || existing.metadata.deletionTimestamp !== undefined) return false;
  return labels.every(([key, value]) => existing.metadata.labels?.[key] === value);
}

async function patchOne(call: Caller, ref: Ref, patch: Patch, signal?: AbortSignal): Promise<KubeObject> {
  const [type, content] =
    'merge' in patch ? (['merge-patch', patch.merge] as const) : (['json-patch', patch.json] as const);
  const answer = await call({
    method: 'PATCH',
    path: pathOf(ref.resource, ref.namespace, ref.name),
    body: JSON.stringify(content),
    contentType: `application/${type}+json`,
    verb: 'patch',
    resource: describeRef(ref),
    repeat: type === 'merge-patch',
    signal,
  });
  return readObject(answer, 'patch', describeRef(ref));
}

async function removeOne(call: Caller, ref: Ref, options: RemoveOptions): Promise<void> {
  const body = {
    kind: 'DeleteOptions',
    apiVersion: 'v1',
    propagationPolicy: options.propagation ?? 'Background',
    ...(options.graceSeconds === undefined ? {} : { gracePeriodSeconds: options.graceSeconds }),
    ...(options.uid === undefined ? {} : { preconditions: { uid: options.uid } }),
  };
  const request = { verb: 'delete', resource: describeRef(ref), signal: options.signal } as const;
  const path = pathOf(ref.resource, ref.namespace, ref.name);
  const answer = await call({ ...request, method: 'DELETE', path, body: JSON.stringify(body) });
  if (answer.status === 404) return;
  if (answer.status === 409 && options.uid !== undefined && /UID/i.test(answer.body)) return;
  readAnswer(answer, 'delete', describeRef(ref));
}

async function isAllowed(call: Caller, action: Action, signal?: AbortSignal): Promise<boolean> {
  const [resource, subresource] = action.resource.split('/');
  const { verb, group, namespace } = action;
  const api = 'authorization.k8s.io/v1';
  const spec = { resourceAttributes: { verb, group, resource, subresource, namespace } };
  const body = JSON.stringify({ apiVersion: api, kind: 'SelfSubjectAccessReview', spec });
  const asked = { verb: 'create', resource: 'selfsubjectaccessreviews', signal } as const;
  const answer = await call({ ...asked, method: 'POST', path: `/apis/${api}/selfsubjectaccessreviews`, body });
  return valueAt(readAnswer(answer, asked.verb, asked.resource), 'status', 'allowed') === true;
}

async function readLog(
  call: Caller,
  namespace: string,
  pod: string,
  options: { container?: string; tailLines?: number },
): Promise<string> {
  const query = { container: options.container, tailLines: options.tailLines ?? 200 };
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/log`;
  const resource = `logs of pod ${namespace}/${pod}`;
  const answer = await call({ method: 'GET', path, query, verb: 'get', resource });
  // 400: the container has not started.
  if (answer.status === 404 || answer.status === 400) return '';
  if (answer.status >= 300) throw refusal(answer.status, answer.body, 'get', resource);
  return answer.body;
}

function watchCall(
  resource: Resource,
  selection: ListOptions,
  resourceVersion: string,
  timeoutMs: number,
  signal: AbortSignal,
): Call {
  const query = {
    ...selectorQuery(selection),
    watch: true,
    resourceVersion,
    allowWatchBookmarks: true,
    timeoutSeconds: Math.ceil(timeoutMs / 1000),
  };
  return { method: 'GET', path: pathOf(resource, selection.namespace), query, timeoutMs: timeoutMs + 10_000, signal };
}

function selectorQuery(options: ListOptions): Record<string, string | undefined> {
  return { labelSelector: options.labelSelector, fieldSelector: options.fieldSelector };
}

function readAnswer(answer: Answer, verb: string, resource: string): unknown {
  if (answer.status < 200 || answer.status >= 300) throw refusal(answer.status, answer.body, verb, resource);
  return parseJson(answer.body);
}

function readObject(answer: Answer, verb: string, resource: string): KubeObject {
  return asObject(readAnswer(answer, verb, resource));
}
