import { readFile } from 'node:fs/promises';
import { Agent, createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { layoutOf } from '../../src/client/dev/configuration.ts';

/** A way to the S3 server that can be made a bad one. */
export interface S3Proxy {
  endpoint: string;
  /** answers 503 to so many requests from now on, and then again as before */
  refuse(requests: number): void;
  /** how many it still has to refuse */
  refusals(): number;
  /** answers 503 to every so-manieth request, 2: to half of them; 0: to none */
  refuseEvery(nth: number): void;
  /** holds every request up for so long */
  delay(milliseconds: number): void;
  end(): Promise<void>;
}

const BUSY =
  '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>';

/** Listens with the S3 server's own certificate, which is of this machine's loopback names, on any port. */
export async function startS3Proxy(directory: string, target: string): Promise<S3Proxy> {
  const { s3 } = layoutOf(directory);
  const [key, cert, ca] = await Promise.all(
    ['certs/private.key', 'certs/public.crt', 'ca.crt'].map((name) => readFile(join(s3, name))),
  );
  const { hostname, port } = new URL(target);
  const agent = new Agent({ ca: ca as Buffer, keepAlive: true });
  let left = 0;
  let every = 0;
  let seen = 0;
  let delayMs = 0;
  const server = createServer({ key: key as Buffer, cert: cert as Buffer }, (incoming, answer) => {
    seen += 1;
    if (left > 0 || (every > 0 && seen % every === 0)) {
      left = Math.max(0, left - 1);
      incoming.resume();
      answer.writeHead(503, { 'content-type': 'application/xml', 'content-length': BUSY.length }).end(BUSY);
      return;
    }
    setTimeout(() => {
      const { method = 'GET', url: path = '/', headers } = incoming;
      // With its headers as they are: the signature covers the host that the client knows.
      const onward = request({ agent, hostname, port, method, path, headers }, (found) => {
        answer.writeHead(found.statusCode ?? 502, found.headers);
        pipeline(found, answer, () => {});
      });
      onward.on('error', () => answer.destroy());
      pipeline(incoming, onward, () => {});
    }, delayMs);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    refuse: (requests) => {
      left = requests;
    },
    refusals: () => left,
    refuseEvery: (nth) => {
      every = nth;
    },
    delay: (milliseconds) => {
      delayMs = milliseconds;
    },
    async end() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      agent.destroy();
    },
  };
}
