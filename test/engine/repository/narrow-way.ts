import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to an S3 server on which questions and small objects pass, and a large one is stuck while it is closed. */
export interface NarrowWay {
  endpoint: string;
  /** how many connections are stuck */
  stuck(): number;
  close(): void;
  open(): void;
  end(): Promise<void>;
}

const PASSES = 1024 * 1024;

/** So much of each connection passes. TLS is left as it is: the server's certificate is of this machine's names. */
export async function startNarrowWay(target: string): Promise<NarrowWay> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  /** what waits, by connection; it is read on all the same, or nobody would see that its client has gone */
  const stuck = new Map<Socket, Buffer[]>();
  let isClosed = false;
  const server = createServer((incoming) => {
    const onward = connect(Number(port), hostname);
    let carried = 0;
    incoming.on('data', (piece) => {
      carried += piece.length;
      if (isClosed && carried > PASSES) stuck.set(onward, [...(stuck.get(onward) ?? []), piece]);
      else onward.write(piece);
    });
    onward.pipe(incoming);
    for (const [one, other] of [
      [incoming, onward],
      [onward, incoming],
    ] as const) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        other.destroy();
        sockets.delete(one);
        stuck.delete(one);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stuck: () => stuck.size,
    close: () => {
      isClosed = true;
    },
    open: () => {
      isClosed = false;
      for (const [onward, pieces] of stuck) for (const piece of pieces) onward.write(piece);
      stuck.clear();
    },
    async end() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
