/** Search attributes of every run, all of type keyword. They are never encrypted: nothing private in them. */
export const SEARCH_ATTRIBUTES = {
  database: 'HoldfastDatabase',
  engine: 'HoldfastEngine',
  /** the workflow type */
  runbook: 'HoldfastRunbook',
  /** one of OUTCOMES; set by the workflow whenever it changes */
  outcome: 'HoldfastOutcome',
} as const;
