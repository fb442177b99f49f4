import type { AuditFinding } from '../model/audit.ts';
import type { AuditResult } from '../model/audit-result.ts';
import { countOf } from '../model/plan.ts';

/** Current details hold 20,000 bytes. */
const MOST_ROWS = 25;
const MARKS = { critical: '**critical**', warning: 'warning', info: 'info' } as const;

/** An audit as the Temporal UI shows it: the verdict first, then each finding with what to do. */
export function detailsOfAudit({ counts, findings, more, looked, databases, at }: AuditResult): string {
  const shown = findings.slice(0, MOST_ROWS);
  const rest = findings.length - shown.length + more;
  return [
    `## ${verdictOf(counts, databases)}`,
    '',
    `Read on ${at}: ${countOf(looked.versions, 'version')}, ${countOf(looked.headed, 'object')} asked for lock and key.`,
    ...(shown.length === 0
      ? []
      : ['', '| | database | what | from | what to do |', '|---|---|---|---|---|', ...shown.map(rowOf)]),
    ...(rest > 0 ? ['', `and ${rest} more: holdfast repository audit`] : []),
  ].join('\n');
}

function verdictOf(counts: AuditResult['counts'], databases: number): string {
  const of = countOf(databases, 'database');
  if (counts.critical > 0) {
    return `${countOf(counts.critical, 'critical finding')}: not every promise of ${of} holds`;
  }
  const others = counts.warning > 0 ? `, with ${countOf(counts.warning, 'warning')}` : '';
  return `every promise of ${of} holds for a year to come${others}`;
}

function rowOf({ severity, database, what, firstDay, hint }: AuditFinding): string {
  const cells = [MARKS[severity], database ?? '', what, firstDay ?? 'now', hint];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
