import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compareFingerprints } from '../../src/engines/compare-fingerprints.ts';
import { compareSchemas } from '../../src/engines/compare-schemas.ts';
import { assertSql } from '../../src/engines/postgres/assert-sql.ts';
import { countRows } from '../../src/engines/postgres/count-rows.ts';
import { fingerprint } from '../../src/engines/postgres/fingerprint.ts';
import { startDumped } from './postgres-dumped-fixture.ts';
import { HARD_SCHEMA } from './postgres-hard-schema.ts';
import { quietly } from './postgres-recovery-fixture.ts';
import { query } from './postgres-sides-fixture.ts';

const SECOND = `CREATE TABLE things (id int PRIMARY KEY, what text); INSERT INTO things VALUES (1, 'one'), (2, NULL)`;

// What a verification compares, of a schema with everything odd and of a second db.
describe.each([14, 16, 17])('PostgreSQL %i', (major) => {
  test('a whole copy of a dump equals its snapshot in every row and definition, db by db', async () => {
    const server = await startDumped({ major, database: 'shop' });
    try {
      const { access } = server.production;
      await query(access, HARD_SCHEMA);
      await query(access, 'CREATE DATABASE "second db"');
      await query({ ...access, database: 'second db' }, SECOND);
      const dumped = await server.dump();
      const others = dumped.databases
        .filter(({ name }) => name !== 'shop')
        .map(({ name }) => ({
          database: name,
          open: () => createReadStream(server.dumpFile(name)),
          sizeBytes: 1,
        }));
      await server.withCopy(
        null,
        async (copy) => {
          for (const { name, fingerprints } of dumped.databases) {
            const of = { ...copy.access, database: name };
            if (fingerprints === null) throw new Error(`${name} has no fingerprints`);
            const found = await fingerprint(of, { hash: fingerprints.hash, tables: null }, quietly);
            const whole = { whole: { notices: copy.notices } };
            expect(compareFingerprints(fingerprints, found.tables, whole)).toMatchObject({
              name: 'rows',
              verdict: 'pass',
            });
            const schema = await readFile(
              join(server.directory, `${encodeURIComponent(name)}.schema.txt`),
              'utf8',
            );
            expect(compareSchemas(schema, found.schema, copy.notices)).toMatchObject({ verdict: 'pass' });
          }
          const counted = await countRows(copy.access, { tables: null, recent: [], patienceMs: 0 }, quietly);
          expect(counted.tables.map(({ table, rows }) => [table, rows])).toContainEqual(['public.hard', 500]);
          // Unlogged: a copy that was replayed has none of it.
          expect(counted.tables.map(({ table }) => table)).not.toContain('public.scratch');
          const ask = (sql: string) => assertSql(copy.access, sql, { timeoutMs: 60_000 }, quietly);
          expect(await ask('SELECT count(*) = 500 FROM hard')).toBe(true);
          expect(await ask('SELECT 1')).toBe(null);
          await expect(ask('SELECT * FROM nowhere')).rejects.toThrow('relation "nowhere" does not exist');
        },
        { others },
      );
    } finally {
      await server.end();
    }
  });
});
