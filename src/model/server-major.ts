import type { Manifest } from './backup.ts';

/**
 * What programs a server's backups need: PostgreSQL's major version, and of MySQL and MariaDB the series as a number:
 * 8.0 is 800, 10.11 is 1011.
 */
export function serverMajorOf({ engine, serverVersion }: Pick<Manifest, 'engine' | 'serverVersion'>): number {
  const [major = 0, minor = 0] = serverVersion.split('.').map((part) => Number.parseInt(part, 10));
  return engine === 'mysql' ? major * 100 + minor : major;
}

/** Oracle's MySQL and what is built of it (Percona, RDS), or MariaDB. */
export type Flavour = 'mysql' | 'mariadb';

/** MariaDB's are from 10 on; MySQL went on from 9.7 to 26.7, by the year. */
const MARIADB = { from: 1000, to: 2000 };

/** Of a series as a number. */
export function flavourOf(series: number): Flavour {
  return series >= MARIADB.from && series < MARIADB.to ? 'mariadb' : 'mysql';
}
