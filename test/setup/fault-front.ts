/** Stands between a client and a real server, and breaks connections on demand. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** What happens to the next connections. Byte counts include the headers. */
export type Fault =
  /** Closed hard after so many bytes of the client, or of the server, came through. */
  | { readonly kind: 'cut'; readonly from: 'client' | 'server'; readonly afterBytes: number }
  /** After so many bytes of the server nothing comes any more, and the connection stays open. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** The server is not asked; the client gets this instead. */
  | { readonly kind: 'answer'; readonly head: string; readonly body: string }
  /** The server does its work, but its answer never arrives. */
  | { readonly kind: 'lose-answer' };

export interface FaultFront {
  /** http://127.0.0.1:PORT */
  readonly endpoint: string;
  /** The next `times` connections have that fault; open ones are closed. */
  fail(fault: Fault, times?: number): void;
  /** From now on nothing fails. */
  heal(): void;
  /** Closes all connections, as servers do with idle ones. */
  closeAll(): void;
  /** How many connections were opened so far. */
  readonly connections: number;
  /** How many connections had a fault so far. */
  readonly faults: number;
  stop(): Promise<void>;
}

export async function startFaultFront(target: string): Promise<FaultFront> {
  const { hostname, port } = new URL(target);
  const open = new Set<Socket>();
  let pending: { fault: Fault; times: number } | undefined;
  let faults = 0;
  let connections = 0;
  const server = createServer((client) => {
    track(client);
    connections += 1;
    const fault = pending && pending.times > 0 ? pending.fault : undefined;
    if (pending && fault) {
      pending.times -= 1;
      faults += 1;
    }
    if (fault?.kind === 'answer') {
      answer(client, fault);
      return;
    }
    const upstream = connect(Number(port), hostname);
    track(upstream);
    const destroyBoth = () => {
      client.resetAndDestroy();
      upstream.destroy();
    };
    pass(
      client,
      upstream,
      fault?.kind === 'cut' && fault.from === 'client' ? fault.afterBytes : undefined,
      destroyBoth,
    );
    if (fault?.kind === 'lose-answer') {
      upstream.once('data', destroyBoth);
    } else if (fault?.kind === 'stall') {
      pass(upstream, client, fault.afterBytes, () => upstream.pause());
    } else {
      pass(
        upstream,
        client,
        fault?.kind === 'cut' && fault.from === 'server' ? fault.afterBytes : undefined,
        destroyBoth,
      );
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${portOf(server)}`,
    fail(fault, times = 1) {
      for (const socket of open) socket.destroy();
      pending = { fault, times };
    },
    heal() {
      pending = undefined;
    },
    closeAll() {
      for (const socket of open) socket.end();
    },
    get connections() {
      return connections;
    },
    get faults() {
      return faults;
    },
    stop() {
      for (const socket of open) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };

  function track(socket: Socket): void {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    // Broken connections are what this is for.
    socket.on('error', () => socket.destroy());
  }
}

/** Copies one direction, the end of it too, up to a limit at which `onLimit` is called once. */
function pass(from: Socket, to: Socket, limitBytes: number | undefined, onLimit: () => void): void {
  let passed = 0;
  from.on('data', (chunk: Buffer) => {
    if (limitBytes !== undefined && passed + chunk.length >= limitBytes) {
      to.write(chunk.subarray(0, limitBytes - passed), () => onLimit());
      from.pause();
      return;
    }
    passed += chunk.length;
    if (!to.write(chunk)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  });
  from.on('end', () => to.end());
  from.on('close', () => to.destroy());
}

/** Once the request has begun to arrive; its rest is read and dropped. */
function answer(client: Socket, { head, body }: { head: string; body: string }): void {
  client.once('data', () => {
    const length = Buffer.byteLength(body);
    client.end(`HTTP/1.1 ${head}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${body}`);
  });
  client.resume();
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}
