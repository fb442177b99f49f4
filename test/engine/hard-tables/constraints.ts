import { type HardKind, tablesOf } from './kind.ts';

const generated: HardKind = {
  name: 'generated columns, one of them unique',
  tables: tablesOf(['generated']),
  made: `CREATE TABLE generated (id int PRIMARY KEY, price numeric, twice numeric GENERATED ALWAYS AS (price * 2) STORED,
      email text, lower text GENERATED ALWAYS AS (lower(email)) STORED UNIQUE);
    INSERT INTO generated (id, price, email) SELECT n, n / 4.0, 'P' || n FROM generate_series(1, 40) n`,
  changed: `DELETE FROM generated WHERE id % 3 = 0; UPDATE generated SET price = NULL WHERE id % 3 = 1; INSERT INTO generated (id, email) VALUES (50, 'new');
    UPDATE generated SET email = 'swap' WHERE id = 2; UPDATE generated SET email = 'p2' WHERE id = 5; UPDATE generated SET email = 'P5' WHERE id = 2`,
};

const exclusive: HardKind = {
  name: 'exclusion constraints, at once and deferred, one with a condition',
  tables: tablesOf(['rooms', 'rooms_late']),
  made: ['rooms', 'rooms_late']
    .map(
      (
        name,
      ) => `CREATE TABLE ${name} (id int PRIMARY KEY, room int4range, during tsrange, void bool NOT NULL DEFAULT false,
        EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (NOT void)${name === 'rooms' ? '' : ' DEFERRABLE INITIALLY DEFERRED'});
      INSERT INTO ${name} SELECT n, int4range(n % 3, n % 3, '[]'), tsrange('2026-01-01'::timestamp + n * interval '1 day', '2026-01-02'::timestamp + n * interval '1 day'), n % 7 = 0
        FROM generate_series(1, 40) n;`,
    )
    .join('\n'),
  changed: ['rooms', 'rooms_late']
    .map(
      (name) => `DELETE FROM ${name} WHERE id <= 10; UPDATE ${name} SET void = true WHERE id = 20;
      CREATE TEMPORARY TABLE swapped AS SELECT * FROM ${name} WHERE id IN (12, 15); DELETE FROM ${name} WHERE id IN (12, 15);
      INSERT INTO ${name} SELECT 27 - id, room, during, void FROM swapped; DROP TABLE swapped;
      INSERT INTO ${name} VALUES (50, '[9,9]', '[2030-01-01,2030-02-01)')`,
    )
    .join(';\n'),
};

const deferrable: HardKind = {
  name: 'deferrable primary, unique and foreign keys, whose values are exchanged',
  tables: tablesOf(['late', 'late_child']),
  made: `CREATE TABLE late (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, place int UNIQUE DEFERRABLE INITIALLY DEFERRED, at_once int UNIQUE DEFERRABLE, code text NOT NULL UNIQUE);
    CREATE TABLE late_child (id int PRIMARY KEY, code text REFERENCES late (code) DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO late SELECT n, n, n, n FROM generate_series(1, 30) n; INSERT INTO late_child SELECT n, n FROM generate_series(1, 20) n`,
  changed: `BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE late SET place = 31 - place; UPDATE late SET at_once = 31 - at_once WHERE id <= 30; UPDATE late SET id = CASE id WHEN 3 THEN 4 ELSE 3 END WHERE id IN (3, 4);
    DELETE FROM late_child WHERE id IN (5, 6, 7); DELETE FROM late WHERE id IN (5, 6, 25, 26); UPDATE late_child SET code = '10' WHERE id = 11; COMMIT`,
};

const circles: HardKind = {
  name: 'rows that refer to rows of their own table, and tables that refer to each other, checked at once',
  tables: tablesOf(['boss', 'ring_a', 'ring_b']),
  made: `CREATE TABLE boss (id int PRIMARY KEY, boss int REFERENCES boss, v text); INSERT INTO boss SELECT n, NULLIF(n / 2, 0), 'before' FROM generate_series(1, 60) n;
    UPDATE boss SET boss = 60 WHERE id = 1;
    CREATE TABLE ring_a (id int PRIMARY KEY, b int NOT NULL, v text); CREATE TABLE ring_b (id int PRIMARY KEY, a int NOT NULL REFERENCES ring_a, v text);
    INSERT INTO ring_a SELECT n, n FROM generate_series(1, 20) n; INSERT INTO ring_b SELECT n, 1 + n % 20 FROM generate_series(1, 20) n;
    ALTER TABLE ring_a ADD FOREIGN KEY (b) REFERENCES ring_b`,
  changed: `UPDATE boss SET boss = NULL WHERE id = 1 OR boss % 3 = 0; DELETE FROM boss WHERE id IN (15, 21, 27) OR boss IN (15, 21, 27); UPDATE boss SET v = 'after' WHERE id % 5 = 0;
    INSERT INTO boss VALUES (100, 1, 'new'), (101, 100, 'new');
    WITH a AS (DELETE FROM ring_a RETURNING 1) DELETE FROM ring_b;
    WITH a AS (INSERT INTO ring_a SELECT n, n, 'after' FROM generate_series(1, 5) n) INSERT INTO ring_b SELECT n, 1 + n % 5 FROM generate_series(1, 5) n`,
};

const kept: HardKind = {
  name: 'row security that is forced, seen by a superuser; triggers and a check of a domain',
  tables: tablesOf(['secret']),
  made: `CREATE DOMAIN positive AS int CHECK (VALUE > 0) NOT NULL; CREATE TABLE secret (id positive PRIMARY KEY, tenant text, v text);
    ALTER TABLE secret ENABLE ROW LEVEL SECURITY; ALTER TABLE secret FORCE ROW LEVEL SECURITY; CREATE POLICY none ON secret USING (false) WITH CHECK (false);
    INSERT INTO secret SELECT n, 't' || n % 3, 'before' FROM generate_series(1, 30) n;
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fired'; END $$`,
  changed: `DELETE FROM secret WHERE id % 3 = 0; UPDATE secret SET v = NULL, tenant = '' WHERE id % 3 = 1; INSERT INTO secret VALUES (99, 'new');
    CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON secret FOR EACH ROW EXECUTE FUNCTION refuse()`,
};

export const CONSTRAINTS: readonly HardKind[] = [generated, exclusive, deferrable, circles, kept];
