import {
  formatGtids,
  type GtidSet,
  type Interval,
  type MysqlGtidSet,
  mariadbPosition,
  mysqlSet,
  parseGtid,
  parseGtids,
  uniteGtids,
} from '../../../model/gtid.ts';

/** Loose intervals that are kept before they are merged. */
const LOOSE_LIMIT = 1000;

/**
 * Adds the transactions of a log to what was committed before it, one by one. MariaDB's last one of a domain counts even
 * where its number is lower than those before it, as in the server's own `gtid_binlog_pos`.
 */
export class GtidTally {
  #set: GtidSet;
  #loose = new Map<string, Interval[]>();
  #count = 0;

  constructor(before: string, flavour: GtidSet['flavour']) {
    this.#set = parseGtids(before, flavour);
  }

  add(text: string): void {
    const gtid = parseGtid(text);
    if (gtid.flavour === 'mariadb') {
      if (this.#set.flavour !== 'mariadb') throw new RangeError('a GTID of MariaDB in a log of MySQL');
      const { server, sequence } = gtid;
      this.#set = mariadbPosition(new Map(this.#set.domains).set(gtid.domain, { server, sequence }));
      return;
    }
    const { source, number } = gtid;
    const intervals = this.#loose.get(source) ?? [];
    const last = intervals.at(-1);
    if (last !== undefined && last.last + 1n === number) last.last = number;
    else {
      intervals.push({ first: number, last: number });
      this.#count += 1;
    }
    this.#loose.set(source, intervals);
    if (this.#count > LOOSE_LIMIT) this.#merge();
  }

  text(): string {
    this.#merge();
    return formatGtids(this.#set);
  }

  #merge(): void {
    if (this.#count === 0) return;
    const loose: MysqlGtidSet = mysqlSet([...this.#loose]);
    this.#set = uniteGtids(this.#set, loose);
    this.#loose = new Map();
    this.#count = 0;
  }
}
