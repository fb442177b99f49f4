import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExportInput } from '../../src/engines/contract/read.ts';
import { withConnection } from '../../src/engines/postgres/connection.ts';
import { exportTables } from '../../src/engines/postgres/export.ts';
import { serverPid } from '../../src/engines/postgres/instance-processes.ts';
import { canonicalSchema } from '../../src/engines/postgres/schema.ts';
import { ensureRunning } from '../../src/engines/postgres/server.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import { type Dumped, startDumped } from './postgres-dumped-fixture.ts';
import { quietly } from './postgres-recovery-fixture.ts';
import { query } from './postgres-sides-fixture.ts';

const PLANTED = '/tmp/holdfast-planted-by-a-role';

/** Names that break what splits text, and kinds of objects that behave in a restore as plain tables do not. */
const SCHEMA = `
  CREATE ROLE "two
lines";
  CREATE ROLE "x
CREATE ROLE y; \\! touch ${PLANTED} #;";
  CREATE SCHEMA "a b";
  CREATE SCHEMA a;
  CREATE TABLE "a b".c (id int PRIMARY KEY);
  CREATE TABLE a."b c" (id int PRIMARY KEY);
  CREATE TABLE "new
line ""quoted"" 'x' \\ %" (id int PRIMARY KEY, "co
l" text);
  ALTER TABLE "new
line ""quoted"" 'x' \\ %" OWNER TO "two
lines";
  CREATE DOMAIN positive AS int CHECK (VALUE > 0);
  CREATE SEQUENCE shared;
  CREATE TABLE first (id bigint PRIMARY KEY DEFAULT nextval('shared'), n positive);
  CREATE TABLE second (id bigint PRIMARY KEY DEFAULT nextval('shared'), first bigint REFERENCES first);
  CREATE TABLE parent (id int PRIMARY KEY, what text);
  CREATE TABLE child (more int) INHERITS (parent);
  CREATE TABLE tree (at date NOT NULL, kind text, PRIMARY KEY (at, kind)) PARTITION BY RANGE (at);
  CREATE TABLE tree_2025 PARTITION OF tree FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (kind);
  CREATE TABLE tree_2025_a PARTITION OF tree_2025 FOR VALUES IN ('a');
  CREATE TABLE tree_2025_b PARTITION OF tree_2025 DEFAULT;
  CREATE INDEX ON tree (kind);
  CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY);
  CREATE TABLE guarded (id int PRIMARY KEY, owner name);
  ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
  ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
  CREATE POLICY nobody ON guarded USING (false);
  CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fired'; END $$;
  CREATE TABLE watched (id int PRIMARY KEY);
  CREATE TABLE ruled (id int PRIMARY KEY);
  CREATE FOREIGN DATA WRAPPER nothing;
  CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing;
  CREATE USER MAPPING FOR postgres SERVER elsewhere OPTIONS (password 'the-password-of-elsewhere');
  CREATE FOREIGN TABLE far (id int) SERVER elsewhere;
  INSERT INTO "a b".c SELECT generate_series(1, 3);
  INSERT INTO a."b c" SELECT generate_series(1, 4);
  INSERT INTO "new
line ""quoted"" 'x' \\ %" VALUES (1, E'a\\nb'), (2, NULL);
  INSERT INTO first (n) SELECT generate_series(1, 5);
  INSERT INTO second (first) SELECT id FROM first;
  INSERT INTO parent VALUES (1, 'p');
  INSERT INTO child VALUES (2, 'c', 3);
  INSERT INTO tree SELECT '2025-02-01'::date + n, CASE n % 2 WHEN 0 THEN 'a' ELSE 'z' END FROM generate_series(1, 20) n;
  INSERT INTO scratch SELECT generate_series(1, 6);
  INSERT INTO guarded VALUES (1, 'x'), (2, 'y');
  INSERT INTO watched VALUES (1), (2);
  INSERT INTO ruled VALUES (1), (2);
  CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM first;
  CREATE VIEW seen AS SELECT * FROM guarded;
  CREATE RULE nothing AS ON INSERT TO ruled DO INSTEAD NOTHING;
  CREATE TRIGGER "switched off" BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION refuse();
  CREATE TRIGGER always BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION refuse();
  CREATE TRIGGER replica BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION refuse();
  COMMENT ON TRIGGER always ON watched IS 'fires whatever happens';
  ALTER TABLE watched DISABLE TRIGGER "switched off", ENABLE ALWAYS TRIGGER always, ENABLE REPLICA TRIGGER replica;
  CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
  CREATE EVENT TRIGGER ddl ON ddl_command_end EXECUTE FUNCTION on_ddl();
  COMMENT ON EVENT TRIGGER ddl IS 'acts by itself';
  CREATE PUBLICATION everything FOR ALL TABLES;
  COMMENT ON PUBLICATION everything IS 'goes elsewhere';
  SELECT lo_from_bytea(4711, 'a large object');
  COMMENT ON LARGE OBJECT 4711 IS 'large';
  GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC`;

const NAMED = [
  ...['"a b".c', `"new\nline ""quoted"" 'x' \\ %"`, 'first', 'second', 'parent', 'tree', 'scratch'],
  ...['guarded', 'watched', 'ruled'],
];
const FILLED = [
  ...['"a b".c', `public."new\nline ""quoted"" 'x' \\ %"`, 'public.first', 'public.second'],
  ...['public.parent', 'public.child', 'public.tree_2025_a', 'public.tree_2025_b', 'public.scratch'],
  ...['public.guarded', 'public.watched', 'public.ruled'],
];

let server: Dumped;
beforeAll(async () => {
  server = await startDumped({ major: 15, database: 'a = "b" \'c\'' });
  await query(server.production.access, SCHEMA);
  await query(
    server.production.access,
    `CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`,
  );
  await query(
    server.production.access,
    `CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0`,
  );
  await query(
    { ...server.production.access, database: 'latin' },
    `CREATE TABLE städte (name text PRIMARY KEY); INSERT INTO städte VALUES ('Köln')`,
  );
  await query(
    { ...server.production.access, database: 'ascii' },
    String.raw`CREATE TABLE bytes (raw text); INSERT INTO bytes VALUES (E'\xff\xfe'), ('plain')`,
  );
  await query(
    { ...server.production.access, database: 'postgres' },
    `CREATE TABLE kept (id int PRIMARY KEY); INSERT INTO kept VALUES (1), (2)`,
  );
  await server.dump();
});
afterAll(async () => {
  await server?.end();
});

const schemaOf = async (access: ServerAccess) =>
  withConnection(access, { signal: quietly.signal, applicationName: 'test' }, async (client) =>
    (await canonicalSchema(client)).text.split('\n'),
  );

test('odd names and every kind of table: the rows as they were, the definitions too, and nothing acts by itself', async () => {
  await server.withCopy(NAMED, async (copy) => {
    expect(copy.notices).toEqual([]);
    expect(copy.tables.toSorted()).toEqual(FILLED.toSorted());
    expect(await server.prints(copy.access, FILLED)).toEqual(
      expect.arrayContaining(server.dumpedPrints(FILLED)),
    );
    const left = /^(?:event trigger|publication) /;
    const production = await schemaOf(server.production.access);
    const restored = await schemaOf(copy.access);
    expect(restored).toEqual(production.filter((line) => !left.test(line)));
    const [found] = await query(
      copy.access,
      `SELECT (SELECT last_value::int FROM shared) AS shared, (SELECT count(*)::int FROM pg_user_mapping) AS mappings,
        (SELECT count(*)::int FROM pg_largeobject_metadata) AS large,
        (SELECT string_agg(tgname || tgenabled::text, ',' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = 'watched'::regclass) AS triggers,
        (SELECT obj_description(oid) FROM pg_trigger WHERE tgname = 'always') AS comment`,
    );
    expect(found).toEqual({
      ...{ shared: 10, mappings: 0, large: 0, triggers: 'alwaysA,replicaR,switched offD' },
      comment: 'fires whatever happens',
    });
  });
});

test('the name of a role is never a command: its second line runs nothing', async () => {
  await server.withCopy(['first'], async (copy) => {
    expect(existsSync(PLANTED)).toBe(false);
    expect(
      await query(copy.access, `SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1`),
    ).toEqual([
      { rolname: 'postgres' },
      { rolname: 'two\nlines' },
      { rolname: `x\nCREATE ROLE y; \\! touch ${PLANTED} #;` },
    ]);
  });
});

test('a table whose owner is not there is filled all the same', async () => {
  const name = `public."new\nline ""quoted"" 'x' \\ %"`;
  await server.withCopy(
    [name],
    async (copy) => {
      expect(copy.notices.join()).toMatch(/role "two/);
      expect(await server.prints(copy.access, [name])).toEqual(server.dumpedPrints([name]));
    },
    { globals: null },
  );
});

describe('other dbs of the server', () => {
  test.each([
    ['latin', 'städte'],
    ['ascii', 'bytes'],
    ['postgres', 'kept'],
  ])('%s', async (database, table) => {
    const names = [`public.${table === 'städte' ? '"städte"' : table}`];
    await server.withCopy(
      [table],
      async (copy) => {
        expect(copy.notices).toEqual([]);
        expect(await server.prints(copy.access, copy.tables)).toEqual(
          server.dumpedPrints(copy.tables, database),
        );
        expect(copy.tables).toHaveLength(names.length);
        const encoding =
          'SELECT pg_encoding_to_char(encoding) AS e FROM pg_database WHERE datname = current_database()';
        expect(await query(copy.access, encoding)).toEqual(
          await query({ ...server.production.access, database }, encoding),
        );
      },
      { database },
    );
  });
});

test('an unlogged table in a copy that crashed is not taken for an empty one', async () => {
  await server.withCopy(['scratch'], async (_copy, { place }) => {
    process.kill((await serverPid(place)) as number, 'SIGKILL');
    await expect.poll(() => serverPid(place)).toBeNull();
    await expect(ensureRunning(place, quietly)).rejects.toMatchObject({ type: 'InstanceLost' });
  });
});

test('an unlogged table, which no physical backup has, can be exported from a dump', async () => {
  await server.withCopy(['scratch'], async ({ access }, { place }) => {
    let text = '';
    const put: ExportInput['put'] = async (name, content) => {
      for await (const piece of content) text += piece;
      return { place: name, sizeBytes: text.length, sha256: '' };
    };
    const files = await exportTables(
      {
        ...{ restored: access, place, serverMajor: 15, tables: ['public.scratch'] },
        ...{ format: 'csv', rows: null, put },
      },
      quietly,
    );
    expect(files).toMatchObject([{ table: 'public.scratch', rows: 6 }]);
    expect(text).toBe('id\n1\n2\n3\n4\n5\n6\n');
  });
});

test('the whole db: definitions and rows as they were, also of triggers that were switched off', async () => {
  await server.withCopy(null, async (copy) => {
    expect(copy.notices).toEqual([]);
    const left = /^(?:event trigger|publication) /;
    const production = await schemaOf(server.production.access);
    expect(await schemaOf(copy.access)).toEqual(production.filter((line) => !left.test(line)));
    expect(await server.prints(copy.access, copy.tables)).toEqual(server.dumpedPrints(copy.tables));
  });
});

describe('what a site or a table makes impossible', () => {
  const shop = { database: 'hard' };
  beforeAll(async () => {
    const access = { ...server.production.access, database: 'hard' };
    await query(server.production.access, 'CREATE DATABASE hard');
    await query(
      access,
      `CREATE TABLE countries (code text PRIMARY KEY);
       CREATE FUNCTION known(c text) RETURNS boolean STABLE LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM public.countries WHERE code = c)';
       CREATE TABLE towns (name text PRIMARY KEY, country text CHECK (known(country)));
       INSERT INTO countries VALUES ('CH'); INSERT INTO towns VALUES ('Bern, a secret', 'CH');
       CREATE FUNCTION number(t text) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT CASE WHEN (SELECT count(*) FROM pg_class) >= 0 THEN length(t) END';
       CREATE INDEX ON towns (number(name))`,
    );
    await server.dump();
  });

  test('a check that reads another table needs the rows of that one, and the hint says so', async () => {
    const error = await server.refusal(['towns'], shop);
    expect(error).toMatchObject({
      type: 'CheckFailed',
      message: expect.stringMatching(/COPY failed for table "towns"$/),
      hint: expect.stringContaining('--table'),
    });
    await server.withCopy(
      ['countries', 'towns'],
      async (copy) => {
        expect(await server.prints(copy.access, copy.tables)).toEqual(
          server.dumpedPrints(copy.tables, 'hard'),
        );
      },
      shop,
    );
  });

  test('a locale that the site lacks', async () => {
    // No server serves a db whose locale it lacks: the name in the dump is changed instead.
    const dump = zstdDecompressSync(await readFile(server.dumpFile('hard')));
    const at = dump.indexOf("LOCALE = '") + "LOCALE = '".length;
    dump.write('q', at);
    const open = () => Readable.from([zstdCompressSync(dump)]);
    expect(await server.refusal(['towns'], { ...shop, open })).toMatchObject({
      type: 'CheckFailed',
      message: expect.stringMatching(
        /^db "hard" of backup 20260131T140500Z could not be made on this site: .*locale/,
      ),
      hint: expect.stringContaining('locale'),
    });
  });
});
