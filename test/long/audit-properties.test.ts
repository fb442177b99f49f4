/** The audit against the slow walk with far more repositories than `npm test` has time for; a failure prints its seed. */
process.env.HOLDFAST_AUDIT_RUNS ??= '100000';
await import('../unit/repository/audit/properties.test.ts');
