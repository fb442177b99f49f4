/** The property tests of imports into MySQL and MariaDB, and of their undos, with more examples than `npm test` has time for. */
process.env.HOLDFAST_RUNS ??= '40';
await import('../engine/mysql-import-properties.test.ts');
await import('../engine/mysql-undo-properties.test.ts');
