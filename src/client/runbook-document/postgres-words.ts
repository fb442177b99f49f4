import type { EngineWords } from './engine-words.ts';

export const postgresWords: EngineWords = {
  table: { form: 'schema.table', example: 'public.orders' },
  places: ({ config: { postgres }, stanza }) =>
    postgres === undefined
      ? []
      : [
          ['data directory', `${postgres.dataDirectory}, of ${postgres.systemUser}`],
          ['pgBackRest stanza', stanza],
        ],
  findNeeds: "It needs pgBackRest and PostgreSQL's `pg_waldump` on the machine where it runs.",
  target: {
    option: '--lsn',
    variable: 'LSN',
    example: '0/3000148',
    input: { lsn: 'LSN', exclusive: true },
  },
  targetIs: 'a place in the log',
  steps: {
    restore: "the files of the backup, by pgBackRest, under another user and without production's settings",
    replay: 'the logs up to the target; the server is isolated, read-only and paused there',
    check: "integrity of the tables, and the schema beside production's",
    restoreTables:
      "a new, isolated server: the definitions of the db, then the tables' rows with partitions and sequences, in one pass over the dump",
  },
  recreated: 'its indexes, constraints, sequence, grants and comments',
  siteNeeds: "the server programs of production's major version, and the extensions and locales of its db",
  breakGlass: {
    tools: "PostgreSQL's, pgBackRest's and S3's own tools",
    needs:
      'credentials that can read the bucket and the passphrase of the physical backups (`repository.cipher`); keep both where they can be reached on that night',
    restores:
      'A physical backup is restored to any moment that the logs reach, a logical one to the moment of its dump.',
  },
  backups: [
    { tier: 'physical', id: '20260131-020000F' },
    { tier: 'logical', id: '20260131T020000Z' },
  ],
};
