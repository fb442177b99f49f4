import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CompareInput } from '../../src/engines/contract/change.ts';
import type { ShippedContent } from '../../src/engines/contract/ship.ts';
import { compare } from '../../src/engines/mysql/compare/compare.ts';
import { examine } from '../../src/engines/mysql/examine/examine.ts';
import { fingerprint } from '../../src/engines/mysql/fingerprint.ts';
import { flavourOf, parseSeriesName } from '../../src/engines/mysql/flavour.ts';
import { importRows } from '../../src/engines/mysql/import/import.ts';
import { closeLog, shipping } from '../../src/engines/mysql/log.ts';
import { ROW_HASH } from '../../src/engines/mysql/row-hash.ts';
import { undo } from '../../src/engines/mysql/undo/undo.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import { quietly, type Recovery, recover, startRecovery, value } from './mysql-recovery-fixture.ts';
import { NEWER } from './mysql-server.ts';
import { memoryJournal } from './mysql-sides-fixture.ts';
import { plannedUndo } from './mysql-undo-fixture.ts';
import { memoryStore } from './postgres-undo-fixture.ts';

/** Of docs/mysql.md, without logs. */
const RIGHTS = `SELECT, SHOW VIEW, TRIGGER, EVENT, SHOW DATABASES, PROCESS, RELOAD, REPLICATION CLIENT, REPLICATION SLAVE,
  INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, CREATE TEMPORARY TABLES`;

/** What only newer servers have. */
const NEW = {
  mysql: {
    vector: 'TO_VECTOR',
    settings: { 'binlog-transaction-compression': 'ON' },
    before: [
      // 8.4 makes no such key unless told to; 9.2 has libraries.
      'SET SESSION restrict_fk_on_non_standard_key = OFF',
      'CREATE TABLE shop.places (name varchar(20), KEY (name))',
      'CREATE TABLE shop.visits (place varchar(20), FOREIGN KEY (place) REFERENCES shop.places (name))',
      "INSERT INTO shop.places VALUES ('here'), ('here')",
      "INSERT INTO shop.visits VALUES ('here')",
      'CREATE LIBRARY shop.helpers LANGUAGE JAVASCRIPT AS $$ export function same(x) { return x } $$',
      "SET gtid_next = 'AUTOMATIC:batch'",
      "INSERT INTO shop.orders (note) VALUES ('tagged before the backup')",
    ],
    tagged: ["SET gtid_next = 'AUTOMATIC:batch'"],
    after: ['DROP TABLE shop.visits'],
    tables: ['shop.orders', 'shop.visits'],
  },
  mariadb: {
    ...{ vector: 'VEC_FromText', settings: {}, before: [], tagged: [], after: [] },
    tables: ['shop.orders'],
  },
} as const;

describe.each(['mysql', 'mariadb'] as const)('a newer server of %s', (flavour) => {
  const series = NEWER.find((name) => flavourOf(parseSeriesName(name) as number) === flavour);
  const { vector, settings, before, tagged, after, tables } = NEW[flavour];
  let recovery: Recovery;
  beforeAll(async () => {
    if (series !== undefined) recovery = await startRecovery(series, settings);
  });
  afterAll(() => recovery?.end());

  /** As the watch on the database's host would have brought it into the repository. */
  async function shipped(access: ServerAccess, first: string): Promise<ShippedContent[]> {
    await closeLog(access, quietly);
    const { closed } = await shipping.survey({ access, directory: null, maxAgeMs: null }, quietly);
    const found: ShippedContent[] = [];
    for (const log of closed.filter(({ name }) => name >= first)) {
      const pieces: Buffer[] = [];
      const content = await shipping.read({ access, directory: null, log }, quietly);
      for await (const piece of content) pieces.push(piece as Buffer);
      const bytes = Buffer.concat(pieces);
      expect(bytes.equals(await readFile(join(recovery.production.dataDirectory, log.name)))).toBe(true);
      found.push({ name: log.name, sizeBytes: log.sizeBytes, open: () => Readable.from([bytes]) });
    }
    return found;
  }
  const countsOf = (access: ServerAccess) =>
    fingerprint({ ...access, database: 'shop' }, { hash: ROW_HASH, tables: null }, quietly);

  test.skipIf(series === undefined)(
    'is here, and goes the whole way: backup, logs, recovery, import, undo (else it is not tested: scripts/setup.sh --check)',
    async () => {
      const { production } = recovery;
      await production.run([
        'CREATE DATABASE shop',
        'CREATE TABLE shop.orders (id int AUTO_INCREMENT PRIMARY KEY, note varchar(200), place vector(2))',
        `INSERT INTO shop.orders (note, place) VALUES ('one', ${vector}('[1,2]')), ('two', NULL)`,
        ...before,
      ]);
      const access = await production.makeUser('holdfast', `${RIGHTS}`, 'shop');
      if (flavour === 'mariadb')
        await production.query("GRANT REPLICATION MASTER ADMIN ON *.* TO 'holdfast'@'127.0.0.1'");
      const { lines } = await examine(
        { access, maxAgeMs: 60_000, physical: false, logDirectory: production.dataDirectory },
        quietly,
      );
      expect(lines.filter(({ ok }) => !ok).map(({ what }) => what)).toEqual(['logs survive a crash']);

      const base = await recovery.base({ fingerprints: true });
      expect(base.dumped.notices).toEqual([]);
      await production.run([
        ...tagged,
        `INSERT INTO shop.orders (note, place) VALUES ('three', ${vector}('[3,4.5]'))`,
        'FLUSH BINARY LOGS',
        `UPDATE shop.orders SET place = ${vector}('[5,6]') WHERE id = 2`,
      ]);
      const good = { counts: await countsOf(access), gtids: await recovery.gtids() };
      await production.run([...tagged, 'DELETE FROM shop.orders']);
      const gtids = await recovery.gtids();
      await production.run(after);
      const logs = await shipped(access, base.from.position.split(':')[0] as string);
      expect(logs.length).toBe(2);
      const facts = await shipping.summarize(logs[1]?.open(quietly.signal) as Readable, quietly);
      expect(facts.gtids?.after).toBe(await recovery.gtids());

      // The one of the delete; MySQL names them all: `uuid:1-10:batch:1-4`.
      const gtid = (gtids as string).replace(/:.*(:batch:)1-/, '$1');
      const place = await recovery.provision('newer');
      const reached = await recover(recovery, place, base, { gtid }, logs);
      expect(reached.gtid).toBe(good.gtids);
      expect(await countsOf(reached.access)).toEqual(good.counts);

      const input: CompareInput = {
        ...{ production: access, restored: reached.access, place, tables: [...tables] },
        ...{ serverMajor: production.series, copyId: 'copy' },
      };
      const [store, journal] = [memoryStore(), memoryJournal()];
      const plan = { comparisons: await compare(input, quietly), planDigest: randomUUID(), drift: 0 };
      const imported = await importRows(
        {
          ...{ ...input, ...plan, conflict: 'insert-missing', lockTimeoutMs: 3_000 },
          ...{ undo: store, journal, database: 'shop' },
        },
        quietly,
      );
      expect(imported.tables.length).toBe(tables.length);
      expect(await countsOf(access)).toEqual(good.counts);

      const record = journal.records.at(-1);
      if (record === undefined) throw new Error('nothing was imported');
      await undo(await plannedUndo({ production: access }, { record, read: store.read }), quietly);
      expect(await value(access, 'SELECT COUNT(*) FROM shop.orders')).toBe('0');
    },
  );
});
