import type { EngineWords } from './engine-words.ts';

/** MySQL and MariaDB. */
export const mysqlWords: EngineWords = {
  table: { form: 'db.table', example: 'shop.orders' },
  places: ({ config: { mysql } }) => [
    ['binary logs', mysql?.logDirectory ?? 'read through the server, by its own mysqlbinlog'],
  ],
  findNeeds: 'It needs nothing on the machine where it runs.',
  target: {
    option: '--gtid',
    variable: 'GTID',
    example: '3e11fa47-71ca-11e1-9e33-c80aa9429562:23',
    input: { gtid: 'GTID' },
  },
  targetIs:
    'a transaction by its GTID, or a place in the log (`--lsn binlog.000004:1234`) where the server has no GTIDs',
  steps: {
    restore:
      'a new, isolated server with every db of the backup, and none of its accounts but one that reads',
    replay:
      "the logs up to the target, by the server's own applier; the server is isolated, read-only and stopped there",
    check: "the tables can be read to their end, and the schema beside production's",
    restoreTables:
      "a new, isolated server: the definitions of the dbs, then the tables' rows, in one pass over the dump",
  },
  recreated: 'its indexes, constraints, triggers and counter',
  siteNeeds: "the server programs of production's own series, and a client of it",
  breakGlass: {
    tools: "MySQL's or MariaDB's and S3's own tools, and zstd",
    needs: 'credentials that can read the bucket; keep them where they can be reached on that night',
    restores:
      'A backup is restored to the moment of its dump, and from there on by the shipped logs to any moment that they reach.',
  },
  backups: [{ tier: 'logical', id: '20260131T020000Z' }],
};
