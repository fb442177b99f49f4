import { HARD_SCHEMA } from '../postgres-hard-schema.ts';
import { type HardKind, tablesOf } from './kind.ts';

const values: HardKind = {
  name: 'values of every type, changed in every column',
  tables: [...tablesOf(['hard']), { name: '"Odd ""Schema"""."Order; ""x"""', key: 't."Id"' }],
  made: HARD_SCHEMA,
  changed: `UPDATE hard SET m = 'happy; ''quoted''', ms = NULL, p = ROW(NULL, '', NULL), ps = '{}', d = 0.5, j = '{"a" : 1,"a":2}', jb = 'null', x = '<a b="&quot;">ü</a>' WHERE id <= 20;
    UPDATE hard SET a = '[0:1]={1,2}', aa = '{}', n = 1.50, f = '-0', f4 = 'NaN', ts = '-infinity', tz = '0044-03-15 12:00+00 BC', t = '24:00', ttz = '23:59-12', iv = '1 mon -30 days', b = ''
      WHERE id BETWEEN 10 AND 30;
    UPDATE hard SET r = 'empty', tr = '[2026-01-01,)', v = '''it''''s'':1A ü:2', pt = '(NaN,-0)', net = '::1', bits = '', u = NULL, c = '  é', vc = NULL, o = 4294967295, cls = 'hard', money = '-1234567.89'
      WHERE id BETWEEN 25 AND 40;
    UPDATE hard SET n = n * 1.0, j = (j::text || ' ')::json, iv = justify_days(iv) WHERE id BETWEEN 41 AND 45;
    DELETE FROM hard WHERE id % 7 = 0 OR id = 500; INSERT INTO hard (n) SELECT 'NaN' FROM generate_series(1, 3);
    DELETE FROM "Odd ""Schema"""."Order; ""x""" WHERE "Id" % 4 = 0; UPDATE "Odd ""Schema"""."Order; ""x""" SET "say ""hi""" = E'\\\\.', parent = 1 WHERE "Id" % 4 = 1`,
  said: /hard: column o may name large objects; these are not compared and do not come back/,
  sequences: { 'public.hard_id_seq': 'public.hard' },
};

/** Per type: its values, which rows take in turn. */
const VALUES: Record<string, string[]> = {
  tsvector: [`'a':1A,2B fat:3`, '', `'it''s' 'ü'`],
  tsquery: ['a & !b', `'it''s' <-> c:*A`, 'x'],
  int4multirange: ['{}', '{[1,3),[5,7)}', '{(,)}'],
  nummultirange: ['{[1.0,1.50]}', '{[1,1.5]}', '{}'],
  macaddr: ['08:00:2b:01:02:03', 'ff:ff:ff:ff:ff:ff'],
  macaddr8: ['08:00:2b:01:02:03:04:05'],
  cidr: ['10.0.0.0/8', '::/0'],
  box: ['(1,1),(0,0)', '(2,2),(-0,0)'],
  path: ['[(0,0),(1,1)]', '((0,0),(1,1))'],
  polygon: ['((0,0),(1,1),(2,0))'],
  circle: ['<(0,0),1>'],
  lseg: ['[(0,0),(1,1)]'],
  line: ['{1,-1,0}'],
  pg_lsn: ['16/B374D848'],
  jsonpath: ['$."a"[*] ? (@ > 1)'],
  '"char"': ['a', '\\377', ''],
  name: ['a "name"', ''],
  int2vector: ['1 2 3', ''],
  'bytea[]': ['{"\\\\x00ff",NULL}', '{}'],
  'jsonb[]': ['{"{\\"a\\": [1, \\"\\\\\\\\\\"]}",null}'],
  'tsrange[]': ['{"[2026-01-01,2026-01-02)",empty}'],
  'text[]': ['{"","NULL",NULL,"a\\"b","c\\\\d","e\tf"}', '{{a,b},{c,d}}', '[2:3]={x,y}'],
  whole: ['(1,"a,""b""","{""(1,2)""}")', '(,,)'],
  scores: ['{1,2}', '{}'],
};

const literal = (text: string) => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;

const rare: HardKind = {
  name: 'types that have no order, no equality or no hash',
  tables: tablesOf(['rare', 'rare_heap'], 't.v0'),
  made: `CREATE TYPE inner_pair AS (a int, b int); CREATE TYPE whole AS (n int, t text, p inner_pair[]); CREATE DOMAIN scores AS int[] CHECK (array_length(VALUE, 1) < 5 OR VALUE = '{}');
    CREATE TABLE rare (v0 int PRIMARY KEY${Object.keys(VALUES)
      .map((type, index) => `, v${index + 1} ${type}`)
      .join('')});
    ${[0, 1, 2, 3]
      .map(
        (turn) =>
          `INSERT INTO rare SELECT n${Object.values(VALUES)
            .map((all) => (turn === 3 ? ', NULL' : `, ${literal(all[turn % all.length] as string)}`))
            .join('')} FROM generate_series(${turn * 10}, ${turn * 10 + 9}) n;`,
      )
      .join('\n')}
    CREATE TABLE rare_heap AS SELECT * FROM rare`,
  changed: `DELETE FROM rare WHERE v0 % 4 = 0; DELETE FROM rare_heap WHERE v0 % 4 = 0;
    ${Object.values(VALUES)
      .map(
        (all, index) =>
          `UPDATE rare SET v${index + 1} = ${literal(all.at(-1) as string)} WHERE v0 IN (1, 11, 31); UPDATE rare_heap SET v${index + 1} = NULL WHERE v0 = ${index};`,
      )
      .join('\n')}`,
  refused: {
    'insert-missing': /rare_heap has no primary key/,
    'restore-changed': /rare_heap has no primary key/,
  },
};

const large: HardKind = {
  name: 'rows that name large objects',
  tables: tablesOf(['documents']),
  made: `CREATE TABLE documents (id int PRIMARY KEY, body oid, v text);
    INSERT INTO documents SELECT n, lo_from_bytea(0, convert_to('document ' || n, 'UTF8')), 'before' FROM generate_series(1, 20) n`,
  changed: `SELECT lo_unlink(body) FROM documents WHERE id <= 5; DELETE FROM documents WHERE id <= 5; UPDATE documents SET body = NULL WHERE id = 6;
    UPDATE documents SET v = 'after', body = lo_from_bytea(0, 'other') WHERE id = 7; INSERT INTO documents VALUES (30, lo_from_bytea(0, 'new'))`,
  said: /documents: column body may name large objects; these are not compared and do not come back/,
};

const long: HardKind = {
  name: 'values and keys of many kilobytes, and 1,000 columns',
  tables: tablesOf(['toasted', 'wide']),
  made: `CREATE TABLE toasted (id text COLLATE "C" PRIMARY KEY, v text, b bytea); ALTER TABLE toasted ALTER v SET STORAGE EXTERNAL;
    INSERT INTO toasted SELECT repeat('key ' || n, 200), repeat(md5(n::text), 4000), decode(repeat('00ff', 30000), 'hex') FROM generate_series(1, 12) n;
    CREATE TABLE wide (id int PRIMARY KEY, ${Array.from({ length: 999 }, (_, n) => `c${n} int`).join(', ')});
    INSERT INTO wide (id, c0, c998) SELECT n, n, n FROM generate_series(1, 12) n`,
  changed: `DELETE FROM toasted WHERE id LIKE 'key 1%'; UPDATE toasted SET v = v || 'x' WHERE id LIKE 'key 3%'; UPDATE toasted SET b = NULL WHERE id LIKE 'key 4%';
    DELETE FROM wide WHERE id < 4; UPDATE wide SET c998 = NULL WHERE id = 5; UPDATE wide SET c500 = 1 WHERE id = 6`,
};

export const VALUE_KINDS: readonly HardKind[] = [values, rare, large, long];
