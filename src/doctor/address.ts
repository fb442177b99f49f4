import { createServer } from 'node:net';
import { HoldfastError } from '../model/failure.ts';
import { type Check, lookAtEach } from './check.ts';

/** The address at which a server that takes over would listen: it is of this machine, and nobody is there yet. */
export const checkAddresses: Check = ({ takeovers, site }) =>
  lookAtEach(
    takeovers,
    ({ database }) => `address of ${database.name}`,
    async ({ database: { name, topology }, takeover: { address, port, listen = address } }) => {
      if (topology?.site === site) return `${name} lives at ${address}:${port} already`;
      const hosts = listen.split(',').map((host) => host.trim());
      for (const host of hosts)
        await listenOnce(host === '*' ? '::' : host, port, `${name}.takeover.${site}`);
      return `${hosts.join(', ')} port ${port} is free`;
    },
  );

/** Throws InvalidConfiguration where a server could not listen there now. */
function listenOnce(host: string, port: number, at: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', ({ code }: NodeJS.ErrnoException) => reject(cannotListen(host, port, at, code)));
    server.listen({ host, port }, () => server.close(() => resolve()));
  });
}

function cannotListen(host: string, port: number, at: string, code: string | undefined): HoldfastError {
  if (code === 'EADDRINUSE') {
    return new HoldfastError('InvalidConfiguration', `something listens on ${host} port ${port} already`, {
      hint: `end it, or give databases.${at} another port`,
    });
  }
  return new HoldfastError(
    'InvalidConfiguration',
    `nothing can listen on ${host} port ${port} here (${code})`,
    {
      hint: `run this on the site's host; where clients reach it by another address, set databases.${at}.listen`,
    },
  );
}
