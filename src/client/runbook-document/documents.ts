import type { RunbookFacts } from './facts.ts';
import { fullRecoveryDocument } from './full-recovery.ts';
import { pointInTimeDocument } from './point-in-time.ts';
import { selectiveTableDocument } from './selective-table.ts';

export interface RunbookDocument {
  /** without its extension; also the name of its file */
  name: string;
  markdown: string;
}

/** The three restore runbooks of a database. */
export function runbookDocuments(facts: RunbookFacts): RunbookDocument[] {
  return [
    { name: 'point-in-time-recovery', markdown: pointInTimeDocument(facts) },
    { name: 'selective-table-restore', markdown: selectiveTableDocument(facts) },
    { name: 'full-disaster-recovery', markdown: fullRecoveryDocument(facts) },
  ];
}
