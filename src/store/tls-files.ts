/** Certificates for connections: whom to trust, and who one is. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { HoldfastError, messageOf } from '../base/errors.ts';
import type { PemSource } from './s3-settings.ts';

/** The options of node:tls for it; none where nothing was set, so that Node's own list of authorities counts. */
export interface TlsOptions {
  readonly secureContext?: SecureContext;
}

/**
 * `authorities` replaces the system's, as with restic's --cacert: whoever names one trusts no other. The client's file has
 * the certificate and its key, in any order. SOURCE_UNREADABLE for a file that cannot be read, STORE_OPTION_INVALID for
 * one with something else in it.
 */
export async function readTls(authorities?: PemSource, client?: PemSource): Promise<TlsOptions> {
  if (!authorities && !client) return {};
  const [ca, own] = await Promise.all([authorities && readPem(authorities), client && readPem(client)]);
  if (authorities && ca !== undefined) checkAuthorities(ca, authorities);
  if (client && own !== undefined) checkClient(own, client);
  const identity = own === undefined ? {} : { cert: own, key: own };
  // Once for all connections: parsing a bundle of authorities takes longer than a handshake.
  return { secureContext: createSecureContext({ ...(ca === undefined ? {} : { ca }), ...identity }) };
}

/** The text. Throws SOURCE_UNREADABLE. */
export async function readPem({ value, from }: PemSource): Promise<string> {
  if (value.includes('-----BEGIN ')) return value;
  try {
    return await readFile(value, 'utf8');
  } catch (error) {
    const reason = `${messageOf(error)} (${from})`;
    throw new HoldfastError('SOURCE_UNREADABLE', { path: `the certificates in ${value}`, reason }, { cause: error });
  }
}

function checkAuthorities(pem: string, source: PemSource): void {
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g);
  if (certificates === null)
    throw invalid(source, 'there is no certificate in it (PEM, "-----BEGIN CERTIFICATE-----")');
  for (const certificate of certificates) asTold(source, () => new X509Certificate(certificate));
}

function checkClient(pem: string, source: PemSource): void {
  if (!/-----BEGIN CERTIFICATE-----/.test(pem) || !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    throw invalid(source, 'it must have both, a certificate and its private key, as PEM');
  }
  asTold(source, () => createSecureContext({ cert: pem, key: pem }));
}

function asTold(source: PemSource, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    throw invalid(source, messageOf(error), error);
  }
}

function invalid({ value, from }: PemSource, reason: string, cause?: unknown): HoldfastError {
  const what = value.includes('-----BEGIN ') ? '' : ` ${value}`;
  return new HoldfastError('STORE_OPTION_INVALID', { option: `${from}${what}`, reason }, { cause });
}
