import type { Address } from '../model/topology.ts';
import { parseAddress } from './address.ts';

/** Scheme (`jdbc:postgresql://` too), user and password, hosts, the rest. */
const URL_PARTS = /^([a-z][a-z0-9+.:-]*:\/\/)([^/?#]*@)?([^/?#@]*)(.*)$/is;

/** Null: it is no URL, it names no host, or its query names one, which would win. */
export function readUrl(url: string): Address | null {
  const hosts = hostsOf(url)?.hosts ?? '';
  // A list is kept as it is: the last one's port is taken off and comes back when it is written.
  const address = parseAddress(hosts);
  return address === null ? null : { ...address, host: decodePercent(address.host) };
}

/** The same URL with another host and port and no other byte changed. */
export function rewriteUrl(url: string, address: Address): string | null {
  const found = hostsOf(url);
  if (found === null) return null;
  const { host, port } = address;
  const hosts = host.startsWith('/') ? encodeURIComponent(host) : isIpv6(host) ? `[${host}]` : host;
  return `${found.before}${hosts}:${port}${found.after}`;
}

/** As it is written and as it is meant: none of both may be shown. */
export function passwordsOf(url: string): string[] {
  const password = /^[^:]*:(.*)@$/s.exec(URL_PARTS.exec(url)?.[2] ?? '')?.[1];
  return password === undefined ? [] : [password, decodePercent(password)];
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function hostsOf(url: string): { before: string; hosts: string; after: string } | null {
  const [, scheme, user = '', hosts = '', after = ''] = URL_PARTS.exec(url) ?? [];
  if (scheme === undefined || /[?&](?:host|hostaddr|port)=/i.test(after)) return null;
  return { before: scheme + user, hosts, after };
}

function isIpv6(host: string): boolean {
  return /^[0-9a-f]*:[0-9a-f.]*:[0-9a-f:.]*$/i.test(host);
}
