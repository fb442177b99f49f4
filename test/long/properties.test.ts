/** The property tests of PostgreSQL with far more examples than `npm test` has time for; each prints its seed. */
process.env.HOLDFAST_RUNS ??= '400';
await import('../engine/postgres-properties.test.ts');
