import { HoldfastError } from './failure.ts';

/*
 * The two flavours write what was committed in two ways, that read differently:
 * - MySQL: a set, `uuid:1-5:7,uuid2:1`. Any numbers may be missing. A tag (8.3+) makes a source of its own.
 * - MariaDB: a position, `0-1-100,1-3-7`: of each domain the last transaction. It stands for all transactions of
 *   the domain up to that sequence number, whichever server wrote them; a domain that is not named has none.
 */

/** Numbers of one source, both ends included. */
export interface Interval {
  first: bigint;
  last: bigint;
}

export interface MysqlGtidSet {
  flavour: 'mysql';
  /** by `uuid` or `uuid:tag`; the intervals in order, neither touching nor overlapping */
  sources: ReadonlyMap<string, readonly Interval[]>;
}

export interface MariadbGtidPosition {
  flavour: 'mariadb';
  domains: ReadonlyMap<number, { server: number; sequence: bigint }>;
}

export type GtidSet = MysqlGtidSet | MariadbGtidPosition;

export type Gtid =
  | { flavour: 'mysql'; source: string; number: bigint }
  | { flavour: 'mariadb'; domain: number; server: number; sequence: bigint };

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;
const LAST_MYSQL = 2n ** 63n - 2n;
const LAST_MARIADB = 2n ** 64n - 1n;
const LAST_32 = 2 ** 32 - 1;

export function emptyGtids(flavour: GtidSet['flavour']): GtidSet {
  return flavour === 'mysql' ? { flavour, sources: new Map() } : { flavour, domains: new Map() };
}

export function isEmpty(set: GtidSet): boolean {
  return (set.flavour === 'mysql' ? set.sources : set.domains).size === 0;
}

/** One transaction's name, `uuid:5`, `uuid:tag:5` or `0-1-100`. Throws InvalidInput. */
export function parseGtid(text: string): Gtid {
  const name = text.trim().toLowerCase();
  const maria = /^(\d+)-(\d+)-(\d+)$/.exec(name);
  if (maria !== null) {
    const [domain, server, sequence] = [Number(maria[1]), Number(maria[2]), BigInt(maria[3] as string)];
    if (domain > LAST_32 || server > LAST_32 || sequence < 1n || sequence > LAST_MARIADB) throw notOne(text);
    return { flavour: 'mariadb', domain, server, sequence };
  }
  const parts = name.split(':').map((part) => part.trim());
  const number = parts.pop() as string;
  const [uuid = '', tag, ...more] = parts;
  const isName = UUID.test(uuid) && (tag === undefined || TAG.test(tag)) && more.length === 0;
  if (!isName || !/^\d{1,19}$/.test(number)) throw notOne(text);
  const value = BigInt(number);
  if (value < 1n || value > LAST_MYSQL) throw notOne(text);
  return { flavour: 'mysql', source: tag === undefined ? uuid : `${uuid}:${tag}`, number: value };
}

export function formatGtid(gtid: Gtid): string {
  return gtid.flavour === 'mysql'
    ? `${gtid.source}:${gtid.number}`
    : `${gtid.domain}-${gtid.server}-${gtid.sequence}`;
}

/** Reads a set as the servers write it (`gtid_executed`, `gtid_binlog_pos`), empty text too. Throws InvalidInput. */
export function parseGtids(text: string, flavour: GtidSet['flavour']): GtidSet {
  const entries = text.split(',').map((entry) => entry.trim().toLowerCase());
  const named = entries.filter((entry) => entry !== '');
  return flavour === 'mysql' ? parseMysql(named, text) : parseMariadb(named, text);
}

function parseMysql(entries: readonly string[], text: string): MysqlGtidSet {
  const found = new Map<string, Interval[]>();
  for (const entry of entries) {
    const [uuid = '', ...parts] = entry.split(':').map((part) => part.trim());
    if (!UUID.test(uuid) || parts.length === 0) throw notSet(text);
    let source = uuid;
    let isNamed = false;
    for (const part of parts) {
      if (TAG.test(part)) {
        // Two tags in a row: the first has no numbers.
        if (source !== uuid && !isNamed) throw notSet(text);
        source = `${uuid}:${part}`;
        isNamed = false;
        continue;
      }
      const range = /^(\d{1,19})(?:\s*-\s*(\d{1,19}))?$/.exec(part);
      if (range === null) throw notSet(text);
      const first = BigInt(range[1] as string);
      const last = range[2] === undefined ? first : BigInt(range[2]);
      if (first < 1n || last < first || last > LAST_MYSQL) throw notSet(text);
      const intervals = found.get(source) ?? [];
      intervals.push({ first, last });
      found.set(source, intervals);
      isNamed = true;
    }
    if (!isNamed) throw notSet(text);
  }
  return mysqlSet([...found]);
}

function parseMariadb(entries: readonly string[], text: string): MariadbGtidPosition {
  const domains = new Map<number, { server: number; sequence: bigint }>();
  for (const entry of entries) {
    if (!/^\d+-\d+-\d+$/.test(entry)) throw notSet(text);
    const gtid = parseGtid(entry);
    if (gtid.flavour !== 'mariadb' || domains.has(gtid.domain)) throw notSet(text);
    domains.set(gtid.domain, { server: gtid.server, sequence: gtid.sequence });
  }
  return mariadbPosition(domains);
}

/** The canonical text: sources and domains in order, intervals merged. Equal sets have equal texts. */
export function formatGtids(set: GtidSet): string {
  if (set.flavour === 'mariadb') {
    return [...set.domains]
      .map(([domain, { server, sequence }]) => `${domain}-${server}-${sequence}`)
      .join(',');
  }
  const byUuid = new Map<string, string[]>();
  for (const [source, intervals] of set.sources) {
    const [uuid = '', tag] = source.split(':');
    const numbers = intervals.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
    const texts = byUuid.get(uuid) ?? [uuid];
    byUuid.set(uuid, [...texts, ...(tag === undefined ? [] : [tag]), ...numbers]);
  }
  return [...byUuid.values()].map((texts) => texts.join(':')).join(',');
}

/** MariaDB: of each domain the later position. */
export function uniteGtids(a: GtidSet, b: GtidSet): GtidSet {
  if (a.flavour === 'mysql' && b.flavour === 'mysql') {
    const sources = [...new Set([...a.sources.keys(), ...b.sources.keys()])];
    return mysqlSet(
      sources.map((source) => [source, [...(a.sources.get(source) ?? []), ...(b.sources.get(source) ?? [])]]),
    );
  }
  if (a.flavour === 'mariadb' && b.flavour === 'mariadb') {
    const domains = new Map(a.domains);
    for (const [domain, position] of b.domains) {
      const other = domains.get(domain);
      if (other === undefined || isLater(position, other)) domains.set(domain, position);
    }
    return mariadbPosition(domains);
  }
  throw mixed();
}

/** What a has and b lacks. MariaDB: the domains in which a is ahead of b, with a's position. */
export function subtractGtids(a: GtidSet, b: GtidSet): GtidSet {
  if (a.flavour === 'mysql' && b.flavour === 'mysql') {
    return mysqlSet(
      [...a.sources].map(([source, intervals]) => [source, without(intervals, b.sources.get(source) ?? [])]),
    );
  }
  if (a.flavour === 'mariadb' && b.flavour === 'mariadb') {
    const ahead = [...a.domains].filter(
      ([domain, { sequence }]) => sequence > (b.domains.get(domain)?.sequence ?? 0n),
    );
    return mariadbPosition(new Map(ahead));
  }
  throw mixed();
}

/** MariaDB: whether the position is at or after the transaction, in its domain. */
export function containsGtid(set: GtidSet, gtid: Gtid): boolean {
  if (set.flavour === 'mysql' && gtid.flavour === 'mysql') {
    const { number } = gtid;
    return (set.sources.get(gtid.source) ?? []).some(({ first, last }) => first <= number && number <= last);
  }
  if (set.flavour === 'mariadb' && gtid.flavour === 'mariadb') {
    return gtid.sequence <= (set.domains.get(gtid.domain)?.sequence ?? 0n);
  }
  throw mixed();
}

/** MariaDB: whether a is in no domain ahead of b. */
export function isSubset(a: GtidSet, b: GtidSet): boolean {
  return isEmpty(subtractGtids(a, b));
}

/** MariaDB: the servers count too; positions of equal numbers by different servers have parted. */
export function equalGtids(a: GtidSet, b: GtidSet): boolean {
  return a.flavour === b.flavour && formatGtids(a) === formatGtids(b);
}

/** MariaDB: the domain's position becomes the transaction's, unless it is later already. */
export function addGtid(set: GtidSet, gtid: Gtid): GtidSet {
  return uniteGtids(set, setOf(gtid));
}

export function setOf(gtid: Gtid): GtidSet {
  if (gtid.flavour === 'mysql') {
    return mysqlSet([[gtid.source, [{ first: gtid.number, last: gtid.number }]]]);
  }
  return mariadbPosition(new Map([[gtid.domain, { server: gtid.server, sequence: gtid.sequence }]]));
}

/** A set of its parts, in whatever order. */
export function mysqlSet(sources: readonly (readonly [string, readonly Interval[]])[]): MysqlGtidSet {
  const merged = sources.map(([source, intervals]) => [source, merge(intervals)] as const);
  const kept = merged.filter(([, intervals]) => intervals.length > 0);
  return { flavour: 'mysql', sources: new Map(kept.toSorted(([a], [b]) => (a < b ? -1 : 1))) };
}

export function mariadbPosition(
  domains: ReadonlyMap<number, { server: number; sequence: bigint }>,
): MariadbGtidPosition {
  return { flavour: 'mariadb', domains: new Map([...domains].toSorted(([a], [b]) => a - b)) };
}

function merge(intervals: readonly Interval[]): Interval[] {
  const merged: Interval[] = [];
  for (const interval of intervals.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))) {
    const before = merged.at(-1);
    if (before === undefined || interval.first > before.last + 1n) merged.push({ ...interval });
    else if (interval.last > before.last) before.last = interval.last;
  }
  return merged;
}

function without(intervals: readonly Interval[], others: readonly Interval[]): Interval[] {
  const left: Interval[] = [];
  for (const { first, last } of intervals) {
    let from = first;
    for (const other of others) {
      if (other.last < from || other.first > last) continue;
      if (other.first > from) left.push({ first: from, last: other.first - 1n });
      from = other.last + 1n;
    }
    if (from <= last) left.push({ first: from, last });
  }
  return left;
}

function isLater(a: { server: number; sequence: bigint }, b: { server: number; sequence: bigint }): boolean {
  return a.sequence > b.sequence || (a.sequence === b.sequence && a.server > b.server);
}

function notOne(text: string): HoldfastError {
  return new HoldfastError('InvalidInput', `"${text.slice(0, 100)}" is no GTID`, {
    hint: 'MySQL writes 3e11fa47-71ca-11e1-9e33-c80aa9429562:23, MariaDB 0-1-23',
  });
}

function notSet(text: string): HoldfastError {
  return new HoldfastError('InvalidInput', `"${text.slice(0, 100)}" is no set of GTIDs`, {
    hint: 'MySQL writes 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7, MariaDB 0-1-23,1-1-7',
  });
}

function mixed(): RangeError {
  return new RangeError('GTIDs of MySQL and of MariaDB cannot be compared');
}
