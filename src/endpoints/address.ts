import type { Address } from '../model/topology.ts';
import { endpointFailed } from './failure.ts';

/** The reverse of formatAddress; null: it is none. Without a port: PostgreSQL's own. */
export function parseAddress(text: string): Address | null {
  const found = /^(?:\[([0-9a-f:.]+)\]|(.+?))(?::(\d{1,5}))?$/i.exec(text);
  const host = found?.[1] ?? found?.[2];
  if (found === null || host === undefined) return null;
  return { host, port: Number(found[3] ?? 5432) };
}

export function sameAddress(one: Address | null, other: Address | null): boolean {
  return one === other || (one?.host === other?.host && one?.port === other?.port);
}

/** A host that could not end the value, or the line, that it is written into. Throws EndpointFailed. */
export function requirePlain({ host, port }: Address): void {
  if (/^[\w.:/@,%[\]-]+$/.test(host) && Number.isInteger(port) && port > 0 && port <= 65_535) return;
  throw endpointFailed(
    `${JSON.stringify(host)}, port ${port}, is no address that can be written into a configuration`,
    'correct the address of the takeover in the configuration',
  );
}
