/** Stands between a client and a real server, and breaks connections on demand. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** What happens to the next connections. Byte counts include the headers. */
export type Fault =
  /** Closed hard after so many bytes of the client, or of the server, came through. */
  | { readonly kind: 'cut'; readonly from: 'client' | 'server'; readonly afterBytes: number }
  /** After so many bytes of the server (or, where it says so, of the client) nothing moves any more, and the connection stays open. */
  | { readonly kind: 'stall'; readonly from?: 'client' | 'server'; readonly afterBytes: number }
  /** So many bytes a second come from the server. */
  | { readonly kind: 'trickle'; readonly bytesPerSecond: number }
  /** All that the server says comes twice. */
  | { readonly kind: 'repeat' }
  /** The server is not asked; the client gets this instead. */
  | { readonly kind: 'answer'; readonly head: string; readonly body: string }
  /** The server does its work, but its answer never arrives. */
  | { readonly kind: 'lose-answer' };

export interface FaultFront {
  /** http://127.0.0.1:PORT */
  readonly endpoint: string;
  /** The next `times` connections have that fault; open ones are closed. */
  fail(fault: Fault, times?: number): void;
  /** Each new connection has the fault that this says, until it is healed. */
  storm(next: () => Fault | undefined): void;
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
  let nextFault: () => Fault | undefined = () => undefined;
  let faults = 0;
  let connections = 0;
  const server = createServer((client) => {
    track(client);
    connections += 1;
    const fault = nextFault();
    if (fault) faults += 1;
    if (fault?.kind === 'answer') answer(client, fault);
    else passOn(client, fault);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${portOf(server)}`,
    fail(fault, times = 1) {
      for (const socket of open) socket.destroy();
      let left = times;
      nextFault = () => {
        left -= 1;
        return left >= 0 ? fault : undefined;
      };
    },
    storm(next) {
      for (const socket of open) socket.destroy();
      nextFault = next;
    },
    heal() {
      nextFault = () => undefined;
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

  function passOn(client: Socket, fault: Exclude<Fault, { kind: 'answer' }> | undefined): void {
    const upstream = connect(Number(port), hostname);
    track(upstream);
    const destroyBoth = () => {
      client.resetAndDestroy();
      upstream.destroy();
    };
    const limitOf = (side: 'client' | 'server') =>
      (fault?.kind === 'cut' || fault?.kind === 'stall') && (fault.from ?? 'server') === side
        ? fault.afterBytes
        : undefined;
    const onLimit = fault?.kind === 'cut' ? destroyBoth : () => undefined;
    pass(client, upstream, limitOf('client'), onLimit);
    upstream.on('close', () => client.destroy());
    if (fault?.kind === 'lose-answer') upstream.once('data', destroyBoth);
    else if (fault?.kind === 'repeat') repeat(upstream, client);
    else if (fault?.kind === 'trickle') trickle(upstream, client, fault.bytesPerSecond);
    else pass(upstream, client, limitOf('server'), onLimit);
  }

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

/** An answer is over when nothing follows for a moment. */
function repeat(from: Socket, to: Socket): void {
  let parts: Buffer[] = [];
  let timer: NodeJS.Timeout | undefined;
  from.on('data', (chunk: Buffer) => {
    parts.push(chunk);
    clearTimeout(timer);
    timer = setTimeout(() => {
      to.write(Buffer.concat([...parts, ...parts]));
      parts = [];
    }, 20);
  });
  from.on('close', () => clearTimeout(timer));
  to.on('close', () => from.destroy());
}

function trickle(from: Socket, to: Socket, bytesPerSecond: number): void {
  let waiting = Buffer.alloc(0);
  const timer = setInterval(() => {
    to.write(waiting.subarray(0, Math.ceil(bytesPerSecond / 20)));
    waiting = waiting.subarray(Math.ceil(bytesPerSecond / 20));
  }, 50);
  from.on('data', (chunk: Buffer) => {
    waiting = Buffer.concat([waiting, chunk]);
  });
  from.on('close', () => to.destroy());
  to.on('close', () => clearInterval(timer));
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
