/** A loopback port for a server that a test starts. */
import { createServer } from 'node:net';

/** Free when asked; another process may take it before it is used, so a server that fails to start is started anew. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
