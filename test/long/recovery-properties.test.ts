/** The property test of real recoveries over more dbs than `npm test` has time for; it prints its seed. */
process.env.HOLDFAST_RUNS ??= '20';
await import('../engine/postgres-recovery-properties.test.ts');
