import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clientEnvironment, withConnection } from '../../src/engines/postgres/connection.ts';
import { quoteQualified } from '../../src/engines/postgres/identifier.ts';
import type { Definition } from '../../src/engines/postgres/import/definition.ts';
import { readDefinition } from '../../src/engines/postgres/import/recreate.ts';
import { splitStatements } from '../../src/engines/postgres/import/statements.ts';
import { dumpPrograms } from '../../src/engines/postgres/programs.ts';
import { runTool } from '../../src/engines/process.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import { parseNameParts } from '../../src/model/table.ts';
import { query, quietly, type Sides, type SidesServer, startSides } from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
  await query(server.access, 'CREATE ROLE "The Owner"; CREATE ROLE reader; CREATE ROLE writer');
});
afterAll(() => server?.end());

/** Every kind of thing that belongs to a table, under names that need quotes. */
const TABLES = `
  CREATE SCHEMA "Odd; ""S""";
  GRANT USAGE ON SCHEMA "Odd; ""S""" TO reader, "The Owner"; GRANT ALL ON SCHEMA public TO "The Owner";
  CREATE TYPE public.mood AS ENUM ('sad', 'ok;');
  CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
  CREATE TABLE public.customers (id int PRIMARY KEY, name text); GRANT REFERENCES, SELECT ON public.customers TO "The Owner";
  CREATE TABLE "Odd; ""S"""."Order;""x""" (
    id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5) PRIMARY KEY,
    number serial, m public.mood DEFAULT 'ok;', customer int REFERENCES public.customers ON DELETE CASCADE,
    "say $$;" text DEFAULT E'a;\\\\b''c' || '-- no comment; $x$' COLLATE "C",
    twice int GENERATED ALWAYS AS (number * 2) STORED, previous bigint,
    during tstzrange, CHECK ("say $$;" <> ';)'), UNIQUE (number) DEFERRABLE INITIALLY DEFERRED,
    EXCLUDE USING gist (during WITH &&));
  ALTER TABLE "Odd; ""S"""."Order;""x""" ADD FOREIGN KEY (previous) REFERENCES "Odd; ""S"""."Order;""x""";
  CREATE INDEX "an index;" ON "Odd; ""S"""."Order;""x""" (lower("say $$;")) WHERE number > 3;
  CREATE STATISTICS public.together ON m, number FROM "Odd; ""S"""."Order;""x""";
  COMMENT ON TABLE "Odd; ""S"""."Order;""x""" IS 'a comment; with '' and
-- a line like a comment OWNER TO nobody';
  COMMENT ON COLUMN "Odd; ""S"""."Order;""x""".number IS E'back\\\\slash';
  CREATE TRIGGER touch BEFORE INSERT ON "Odd; ""S"""."Order;""x""" FOR EACH ROW WHEN (NEW.number > 1) EXECUTE FUNCTION public.touch('a;b');
  ALTER TABLE "Odd; ""S"""."Order;""x""" DISABLE TRIGGER touch;
  CREATE RULE quiet AS ON DELETE TO "Odd; ""S"""."Order;""x""" WHERE OLD.number < 0 DO ALSO (
    SELECT 1; SELECT ';)');
  ALTER TABLE "Odd; ""S"""."Order;""x""" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
  CREATE POLICY "own; rows" ON "Odd; ""S"""."Order;""x""" TO reader USING (m = 'ok;');
  ALTER TABLE "Odd; ""S"""."Order;""x""" REPLICA IDENTITY FULL, ALTER number SET STATISTICS 500, SET (fillfactor = 70);
  CREATE TABLE public.events (id bigserial, at date NOT NULL, what text, PRIMARY KEY (id, at, what)) PARTITION BY RANGE (at);
  CREATE TABLE public.events_1 PARTITION OF public.events FOR VALUES FROM ('2024-01-01') TO ('2024-02-01') PARTITION BY LIST (what);
  CREATE TABLE public.events_1a PARTITION OF public.events_1 FOR VALUES IN ('a;');
  CREATE TABLE public.events_rest PARTITION OF public.events DEFAULT;
  CREATE INDEX ON public.events (what);
  CREATE TRIGGER touch BEFORE INSERT ON public.events FOR EACH ROW EXECUTE FUNCTION public.touch();
  CREATE TABLE public.base (a int); CREATE TABLE public.child (b int DEFAULT 3) INHERITS (public.base);
  ALTER TABLE "Odd; ""S"""."Order;""x""" OWNER TO "The Owner";
  GRANT SELECT, INSERT ON "Odd; ""S"""."Order;""x""" TO reader WITH GRANT OPTION;
  GRANT UPDATE (number) ON "Odd; ""S"""."Order;""x""" TO PUBLIC;
  GRANT USAGE ON SEQUENCE "Odd; ""S"""."Order;""x""_number_seq" TO reader;
  SET ROLE reader; GRANT SELECT ON "Odd; ""S"""."Order;""x""" TO writer; RESET ROLE;
  REVOKE ALL ON public.events FROM postgres; GRANT TRUNCATE ON public.events_1a TO writer;
  INSERT INTO public.customers VALUES (1);
  INSERT INTO "Odd; ""S"""."Order;""x""" (customer, "say $$;") SELECT 1, 'x' FROM generate_series(1, 7);
  INSERT INTO public.events (at, what) VALUES ('2024-01-05', 'a;'), ('2025-01-01', 'b');`;
const GONE = ['"Odd; ""S"""."Order;""x"""', 'public.events', 'public.base', 'public.child'];
const MEMBERS = [...GONE, 'public.events_1', 'public.events_1a', 'public.events_rest'];

const definitionOf = (sides: Sides, tables = GONE) =>
  readDefinition({ ...sides, tables, serverMajor: 15 }, quietly);

/** As the import does it: one transaction in a session without a search path, the rows in between. */
async function apply(sides: Sides, definition: Definition, tables = GONE): Promise<void> {
  const options = { applicationName: 'test', signal: quietly.signal };
  await withConnection(sides.production, options, async (client) => {
    const settings = async () =>
      (
        await client.query(
          "SELECT name, setting FROM pg_settings WHERE name NOT IN ('transaction_isolation') AND source = 'session' ORDER BY 1",
        )
      ).rows;
    const before = await settings();
    await client.query('BEGIN');
    for (const statement of definition.before) await client.query(statement);
    for (const table of tables) {
      const { rows } = await client.query(`SELECT * FROM ${quoteQualified(parseNameParts(table))}`);
      expect(rows).toEqual([]);
    }
    for (const statement of definition.after) await client.query(statement);
    expect((await client.query('SHOW lock_timeout')).rows).toEqual([{ lock_timeout: '30s' }]);
    await client.query('COMMIT');
    expect(await settings()).toEqual(before);
  });
}

/** How pg_dump writes these tables down: the same text, the same tables. */
async function dumped(access: ServerAccess, tables = MEMBERS): Promise<string> {
  const { pgDump } = await dumpPrograms(15);
  const args = tables.map((table) => `--table=${quoteQualified(parseNameParts(table))}`);
  const { stdout } = await runTool(pgDump, ['--schema-only', ...args], {
    ...{ signal: quietly.signal, env: clientEnvironment(access), stdout: 'text' },
  });
  // What another role granted on is granted by the owner now.
  return stdout.replaceAll(/^(?:\\(?:un)?restrict .*|(?:SET|RESET) SESSION AUTHORIZATION.*)\n/gm, '');
}

const dropped = GONE.map((table) => quoteQualified(parseNameParts(table)));

test('tables are made again as they were, to the letter of pg_dump, with their sequences at their numbers', async () => {
  const sides = await server.make(TABLES);
  await sides.live(`DROP TABLE ${dropped.join(', ')} CASCADE`);
  const definition = await definitionOf(sides);
  expect(definition.notices).toEqual([]);
  await apply(sides, definition);
  expect(await dumped(sides.production)).toBe(await dumped(sides.restored));
  const sequences = 'SELECT sequencename, last_value FROM pg_sequences ORDER BY 1';
  expect(await sides.live(sequences)).toEqual(await sides.copy(sequences));
  expect(JSON.stringify([definition.before, definition.after])).not.toMatch(
    /restrict|search_path|"SET (?!LOCAL)/,
  );
});

test('what this user grants by default does not open a table that was closed', async () => {
  const sides = await server.make(
    'CREATE TABLE public.secrets (id serial PRIMARY KEY, t text); GRANT SELECT ON public.secrets TO writer',
  );
  await sides.live(`DROP TABLE public.secrets;
    ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader; ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO PUBLIC;
    ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO reader`);
  await apply(sides, await definitionOf(sides, ['public.secrets']), ['public.secrets']);
  expect(
    await sides.live(
      "SELECT relname, array_to_string(relacl, ' ') AS acl FROM pg_class WHERE relname IN ('secrets', 'secrets_id_seq') ORDER BY 1",
    ),
  ).toEqual([
    { relname: 'secrets', acl: 'postgres=arwdDxt/postgres writer=r/postgres' },
    { relname: 'secrets_id_seq', acl: 'postgres=rwU/postgres' },
  ]);
});

test('roles, publications and tablespaces that production lacks are left out and said', async () => {
  const other = await startSides();
  try {
    const folder = join(server.directory, 'fast');
    await mkdir(folder);
    await runTool('chown', ['postgres', folder], { signal: quietly.signal });
    await query(server.access, `CREATE TABLESPACE fast LOCATION '${folder}'`);
    const made = await server.make(`
      CREATE TABLE public.orders (id int PRIMARY KEY USING INDEX TABLESPACE fast, t text) TABLESPACE fast;
      CREATE ROLE gone; CREATE ROLE "gone too";
      GRANT SELECT ON public.orders TO reader;
      GRANT ALL ON public.orders TO "gone too";
      CREATE POLICY mine ON public.orders TO gone, reader USING (true);
      COMMENT ON POLICY mine ON public.orders IS 'mine';
      CREATE POLICY yours ON public.orders TO reader USING (true);
      ALTER TABLE public.orders OWNER TO gone, ENABLE ROW LEVEL SECURITY;
      CREATE PUBLICATION published FOR TABLE public.orders; CREATE PUBLICATION unknown FOR TABLE public.orders;`);
    await query(other.access, 'CREATE ROLE reader; CREATE PUBLICATION published');
    const sides: Sides = {
      ...made,
      production: other.access,
      live: (sql) => query(other.access, sql),
    };
    const definition = await definitionOf(sides, ['public.orders']);
    expect(definition.notices.sort()).toEqual([
      'policy mine of public.orders is for a role that production lacks, and is not made again',
      'public.orders belonged to role gone, to which the configured user cannot give it: it belongs to the configured user',
      'public.orders was published by published, and is not any more: ALTER PUBLICATION "published" ADD TABLE "public"."orders"',
      'public.orders was published by unknown, which production lacks',
      'what lay in tablespace fast comes back in the default one: production lacks it, or the configured user may not use it',
      'what role gone too might do with public.orders is not granted again: production has no such role',
    ]);
    await apply(sides, definition, ['public.orders']);
    expect(
      await sides.live(
        "SELECT pg_get_userbyid(relowner) AS owner, array_to_string(relacl, ' ') AS acl, relrowsecurity AS rls FROM pg_class WHERE relname = 'orders'",
      ),
    ).toEqual([{ owner: 'postgres', acl: 'postgres=arwdDxt/postgres reader=r/postgres', rls: true }]);
    expect(await sides.live('SELECT polname FROM pg_policy')).toEqual([{ polname: 'yours' }]);

    // Where production has the tablespace, the table lies in it again.
    await made.live('DROP TABLE public.orders');
    await apply(made, await definitionOf(made, ['public.orders']), ['public.orders']);
    expect(await dumped(made.production, ['public.orders'])).toBe(
      await dumped(made.restored, ['public.orders']),
    );
  } finally {
    await other.end();
  }
});

test('a partition whose table is still there is attached to it again', async () => {
  const sides = await server.make(TABLES);
  await sides.live('DROP TABLE public.events_1a');
  const definition = await definitionOf(sides, ['public.events_1a']);
  await apply(sides, definition, ['public.events_1a']);
  expect(await dumped(sides.production)).toBe(await dumped(sides.restored));
  await sides.live("INSERT INTO public.events (at, what) VALUES ('2024-01-06', 'a;')");
  expect(await sides.live('SELECT count(*)::int FROM ONLY public.events_1a')).toEqual([{ count: 1 }]);
});

test('statements end where pg_dump ends them', () => {
  const statements = [
    `SELECT 'a;''b', "c;""d", $x$;$y$ ' $x$, $$;$$, E'\\';'`,
    "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT ')')",
    'SELECT tape$1$, 1 -- ; no end',
    'SELECT n FROM "ü;$a$"',
  ];
  const text = `--\n-- A comment; 'with\n--\n\n\\restrict a;b\n${statements.join(';\n\n')};\n\\unrestrict a`;
  expect(splitStatements(text.replace('; no end', '; no end\n'))).toEqual(
    statements.map((statement) => statement.replace('; no end', '; no end\n').trim()),
  );
});

test('a user who is no superuser makes what it may: owners of which it is a member', async () => {
  const sides = await server.make(`
    CREATE ROLE importer LOGIN PASSWORD 'secret-of-the-importer' IN ROLE "The Owner";
    CREATE SCHEMA shop; GRANT ALL ON SCHEMA shop TO importer, "The Owner"; GRANT USAGE ON SCHEMA shop TO reader;
    CREATE SCHEMA closed; GRANT ALL ON SCHEMA closed TO importer; GRANT USAGE ON SCHEMA closed TO "The Owner";
    CREATE TABLE shop.mine (id serial PRIMARY KEY, parent int REFERENCES shop.mine); CREATE TABLE shop.foreign (id int PRIMARY KEY);
    CREATE TABLE closed.other (id int);
    GRANT SELECT ON shop.mine, shop.foreign TO reader; GRANT SELECT (id) ON shop.mine TO writer WITH GRANT OPTION;
    ALTER TABLE shop.mine OWNER TO "The Owner"; ALTER TABLE closed.other OWNER TO "The Owner"`);
  const tables = ['shop.mine', 'shop.foreign', 'closed.other'];
  await sides.live(`DROP TABLE ${tables.join(', ')}`);
  const production = { ...sides.production, user: 'importer', password: 'secret-of-the-importer' };
  const definition = await definitionOf({ ...sides, production }, tables);
  const belongs = (table: string, role: string) =>
    `${table} belonged to role ${role}, to which the configured user cannot give it: it belongs to the configured user`;
  expect(definition.notices.sort()).toEqual([
    belongs('closed.other', 'The Owner'),
    belongs('shop.foreign', 'postgres'),
  ]);
  await apply({ ...sides, production }, definition, tables);
  expect(await dumped(sides.production, ['shop.mine'])).toBe(await dumped(sides.restored, ['shop.mine']));
  expect(
    await sides.live("SELECT array_to_string(relacl, ' ') AS acl FROM pg_class WHERE relname = 'foreign'"),
  ).toEqual([{ acl: 'importer=arwdDxt/importer reader=r/importer' }]);
});
