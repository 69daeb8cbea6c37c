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

export async function startTlsFront(target: string, folder: string): Promise<TlsFront> {
  const [keyFile, certificateFile] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const names = 'subjectAltName=DNS:localhost';
  const makeKey = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const makeNames = ['-subj', '/CN=localhost', '-addext', names];
  await run('openssl', ['req', ...makeKey, ...makeNames, '-keyout', keyFile, '-out', certificateFile]);
  const [key, certificate] = await Promise.all([readFile(keyFile, 'utf8'), readFile(certificateFile, 'utf8')]);
  const { hostname, port } = new URL(target);
  const server = createServer({ key, cert: certificate }, (client) => {
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
