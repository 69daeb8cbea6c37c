/** HTTPS in front of a plain server, with a certificate made for the occasion. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface TlsFront {
  /** https://localhost:PORT */
  readonly endpoint: string;
  /** What a client must trust, PEM. */
  readonly certificate: string;
  stop(): Promise<void>;
}

export interface Certificate {
  readonly keyFile: string;
  readonly certificateFile: string;
  /** PEM. */
  readonly key: string;
  /** PEM. */
  readonly certificate: string;
}

/** A certificate that signs itself, for those names. */
export async function newCertificate(folder: string, names: readonly string[]): Promise<Certificate> {
  const [keyFile, certificateFile] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const alternatives = `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`;
  const makeKey = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const makeNames = ['-subj', `/CN=${names[0] ?? 'localhost'}`, '-addext', alternatives];
  await run('openssl', ['req', ...makeKey, ...makeNames, '-keyout', keyFile, '-out', certificateFile]);
  const [key, certificate] = await Promise.all([readFile(keyFile, 'utf8'), readFile(certificateFile, 'utf8')]);
  return { keyFile, certificateFile, key, certificate };
}

/** With `clients`, the PEM of a certificate, only those who show that one are let in. */
export async function startTlsFront(target: string, folder: string, clients?: string): Promise<TlsFront> {
  const { key, certificate } = await newCertificate(folder, ['localhost']);
  const { hostname, port } = new URL(target);
  const guard = clients === undefined ? {} : { ca: clients, requestCert: true, rejectUnauthorized: true };
  const server = createServer({ key, cert: certificate, ...guard }, (client) => {
    const upstream = connect(Number(port), hostname);
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) {
      socket.on('error', () => socket.destroy());
      socket.on('close', () => (socket === client ? upstream : client).destroy());
    }
  });
  // Clients that do not trust us break the handshake.
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    endpoint: `https://localhost:${typeof address === 'object' && address ? address.port : 0}`,
    certificate,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
