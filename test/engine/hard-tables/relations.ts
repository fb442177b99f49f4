import { type HardKind, tablesOf } from './kind.ts';

const listed: HardKind = {
  name: 'list partitions, one for NULL, a default one and one attached with columns in another order',
  tables: tablesOf(['listed']),
  made: `CREATE TABLE listed (id int NOT NULL, land text, v text) PARTITION BY LIST (land);
    CREATE TABLE listed_a PARTITION OF listed FOR VALUES IN ('at', 'ch', NULL); CREATE TABLE listed_z PARTITION OF listed DEFAULT;
    CREATE TABLE listed_b (gone int, v text, land text, id int NOT NULL); ALTER TABLE listed_b DROP gone;
    ALTER TABLE listed ATTACH PARTITION listed_b FOR VALUES IN ('de');
    ALTER TABLE listed_a ADD PRIMARY KEY (id); ALTER TABLE listed_b ADD PRIMARY KEY (id);
    CREATE TABLE lands (land text PRIMARY KEY); INSERT INTO lands VALUES ('at'), ('de'), ('fr'), ('ch');
    ALTER TABLE listed ADD FOREIGN KEY (land) REFERENCES lands;
    INSERT INTO listed SELECT n, (ARRAY['at', 'de', 'fr', NULL])[1 + n % 4], 'v' || n FROM generate_series(1, 80) n`,
  changed: `DELETE FROM listed WHERE id <= 20; UPDATE listed SET v = NULL WHERE id IN (21, 22, 23, 24); UPDATE listed SET land = 'ch' WHERE id BETWEEN 30 AND 39;
    INSERT INTO listed VALUES (100, 'de', 'new'), (101, 'fr', 'new'), (102, NULL, NULL)`,
  refused: { 'insert-missing': /cannot be told apart/, 'restore-changed': /cannot be told apart/ },
};

const nested: HardKind = {
  name: 'range partitions with list and hash partitions below them, generated and identity columns in these',
  tables: [{ name: 'public.nested', key: '(t.id, t.at, t.what)' }],
  made: `CREATE TABLE nested (id bigserial, at date, what text, v text, shout text GENERATED ALWAYS AS (upper(v)) STORED, PRIMARY KEY (id, at, what)) PARTITION BY RANGE (at);
    CREATE TABLE nested_1 PARTITION OF nested FOR VALUES FROM ('2026-01-01') TO ('2026-02-01') PARTITION BY LIST (what);
    CREATE TABLE nested_1a PARTITION OF nested_1 FOR VALUES IN ('a', 'b'); CREATE TABLE nested_1z PARTITION OF nested_1 DEFAULT;
    CREATE TABLE nested_2 PARTITION OF nested FOR VALUES FROM ('2026-02-01') TO (MAXVALUE) PARTITION BY HASH (id);
    CREATE TABLE nested_2a PARTITION OF nested_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE nested_2b PARTITION OF nested_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    CREATE TABLE nested_3 PARTITION OF nested DEFAULT PARTITION BY RANGE (id); CREATE TABLE nested_3a PARTITION OF nested_3 FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
    CREATE INDEX ON nested (v);
    INSERT INTO nested (at, what, v) SELECT '2025-12-20'::date + n, chr(97 + n % 4), 'v' || n FROM generate_series(1, 90) n`,
  changed: `DELETE FROM nested WHERE id % 3 = 0; UPDATE nested SET v = 'after' WHERE id % 3 = 1; UPDATE nested SET at = at + 40 WHERE id % 9 = 2;
    INSERT INTO nested (at, what) VALUES ('2020-01-01', 'x'), ('2026-01-05', 'x'), ('2027-01-01', 'x')`,
  sequences: { 'public.nested_id_seq': 'public.nested' },
};

const leaf: HardKind = {
  name: 'a partition by itself',
  tables: tablesOf(['leaf_1']),
  made: `CREATE TABLE leaf (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE leaf_1 PARTITION OF leaf FOR VALUES FROM (0) TO (50);
    CREATE TABLE leaf_2 PARTITION OF leaf DEFAULT; INSERT INTO leaf SELECT n, 'before' FROM generate_series(1, 90) n`,
  changed: `DELETE FROM leaf WHERE id % 3 = 0; UPDATE leaf SET v = 'after' WHERE id % 3 = 1; INSERT INTO leaf VALUES (0, 'new')`,
  said: /leaf_1 is a part of public\.leaf: only its own rows/,
};

const inherited: HardKind = {
  name: 'inheritance: the same ids in a parent, its children and a child of two parents',
  tables: tablesOf(['living', 'walking', 'swimming', 'duck']),
  made: `CREATE TABLE living (id int PRIMARY KEY, v text DEFAULT 'x');
    CREATE TABLE walking (legs int, PRIMARY KEY (id)) INHERITS (living); CREATE TABLE swimming (fins int, PRIMARY KEY (id)) INHERITS (living);
    CREATE TABLE duck (quack text, PRIMARY KEY (id)) INHERITS (walking, swimming);
    INSERT INTO living SELECT n, 'living' FROM generate_series(1, 20) n; INSERT INTO walking SELECT n, 'walking', n FROM generate_series(1, 20) n;
    INSERT INTO swimming SELECT n, 'swimming', n FROM generate_series(1, 20) n; INSERT INTO duck SELECT n, 'duck', 2, 2, E'\\\\quack' FROM generate_series(1, 20) n`,
  changed: `DELETE FROM living WHERE id < 5; UPDATE living SET v = 'all of them' WHERE id = 7; UPDATE ONLY walking SET v = NULL WHERE id = 8;
    DELETE FROM ONLY swimming WHERE id > 15; UPDATE duck SET quack = 'meow' WHERE id = 9; INSERT INTO duck VALUES (100, 'new', 1, 1, 'q'); INSERT INTO living VALUES (100, 'new')`,
  said: /living: tables that inherit from it are not included/,
};

export const RELATIONS: readonly HardKind[] = [listed, nested, leaf, inherited];
