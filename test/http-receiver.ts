import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  method: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A real HTTP server on loopback that answers with these statuses, the last one again and again; null: never. */
export async function startReceiver(statuses: (number | null)[] = [200]) {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { method = '', headers } = request;
      received.push({ method, headers, body: Buffer.concat(parts).toString('utf8') });
      const status = statuses[Math.min(received.length, statuses.length) - 1];
      if (status === null || status === undefined) return;
      response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end('not for the log');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook/secret-part`,
    received,
    async end() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
