/**
 * What the API server's refusals mean, as the errors that Holdfast shows.
 */
import { HoldfastError, isHoldfastError, messageOf } from '../base/errors.ts';
import { isRecord, textAt } from './object.ts';
import { CallTimeout } from './transport.ts';

/** Turns an answer that is not a success into an error; `verb` and `resource` say what was asked for. */
export function refusal(status: number, body: string, verb: string, resource: string): HoldfastError {
  const { reason, message } = readStatus(body);
  const text = message === '' ? (reason ?? `status ${status}`) : message;
  const context = { verb, resource, status, kind: reason ?? '', reason: text };
  if (status === 401) return new HoldfastError('CLUSTER_DENIED', { ...context, reason: `${text} (not logged in)` });
  // RBAC says "cannot <verb> resource"; quotas, Pod Security and webhooks answer 403 as well.
  if (status === 403 && /cannot \S+ resource|no RBAC/i.test(text)) return new HoldfastError('CLUSTER_DENIED', context);
  if (status === 403 || status === 400 || status === 422) return new HoldfastError('CLUSTER_REFUSED', context);
  return new HoldfastError('CLUSTER_FAILED', context);
}

/** The network's side of a failed call. Cancellation stays what it is. */
export function unreachable(error: unknown, server: string): unknown {
  if (isHoldfastError(error)) return error;
  const code = isRecord(error) ? textAt(error, 'code') : undefined;
  if (!(error instanceof CallTimeout) && code === undefined) return error;
  if (code === 'ABORT_ERR') return error;
  return new HoldfastError(
    'CLUSTER_UNREACHABLE',
    { server, reason: messageOf(error) || String(code) },
    { cause: error },
  );
}

/** The HTTP status behind an error of a cluster call; undefined for all others. */
export function statusOf(error: unknown): number | undefined {
  if (!isHoldfastError(error)) return undefined;
  const status = error.context.status;
  return typeof status === 'number' ? status : undefined;
}

/** Whether a call may be denied by rights that this account lacks, for features that can do without. */
export function isDenied(error: unknown): boolean {
  return isHoldfastError(error, 'CLUSTER_DENIED');
}

/** Answers that the same request can outlive: throttling, a leader election of etcd, a restarting server. */
export function isPassing(status: number): boolean {
  return status === 429 || status === 500 || status === 502 || status === 503 || status === 504;
}

function readStatus(body: string): { reason: string | undefined; message: string } {
  try {
    const status: unknown = JSON.parse(body);
    return { reason: textAt(status, 'reason'), message: textAt(status, 'message') ?? '' };
  } catch {
    return { reason: undefined, message: body.slice(0, 500).trim() };
  }
}
