import { workflowInfo } from '@temporalio/workflow';
import type { ComparisonInput, ExportStepInput } from '../../activities/recovery-types.ts';
import type { ExportedTable } from '../../engines/contract/read.ts';
import type { ExportOrder } from '../../model/export.ts';
import { type ConflictRule, countOf, type Plan } from '../../model/plan.ts';
import type { onHost } from '../proxies.ts';
import { endWith } from './failure.ts';
import type { Runbook } from './runbook.ts';

/** Without a rule there is nothing to compare: whole tables, and production is not needed. */
export const exportSteps = (conflict: ConflictRule | null): string[] =>
  conflict === null ? ['export'] : ['compare', 'export'];

/**
 * Writes the tables of the restored copy, or the rows of them that a rule would bring back, to files. Nothing in
 * production changes, so nobody is asked. `keep` says until when the instance has to stay from now on.
 */
export async function exportRows(
  runbook: Runbook,
  host: ReturnType<typeof onHost>,
  what: Omit<ComparisonInput, 'conflict'> & { conflict: ConflictRule | null },
  order: ExportOrder,
  keep: () => string,
): Promise<ExportedTable[]> {
  const { conflict, ...copy } = what;
  const rows = conflict === null ? null : await compare(runbook, host, { ...copy, conflict }, keep);
  const { workflowId } = workflowInfo();
  return runbook.step(
    'export',
    () => host.exportTables({ ...copy, order, rows, workflowId, expiresAt: keep() }),
    describe,
  );
}

async function compare(
  runbook: Runbook,
  host: ReturnType<typeof onHost>,
  what: ComparisonInput,
  keep: () => string,
): Promise<ExportStepInput['rows']> {
  const { plan, comparisons } = await runbook.step(
    'compare',
    () => host.compareTables({ ...what, doubts: [], expiresAt: keep() }),
    (found) => describeRows(found.plan),
  );
  const refusal = plan.rules.find((rule) => rule.conflict === what.conflict)?.refusal ?? null;
  if (refusal === null) return { conflict: what.conflict, comparisons };
  throw endWith({
    type: 'NotSupported',
    message: `the rows that ${what.conflict} would bring back are not known: ${refusal}`,
    hint: 'export whole tables: leave conflict out',
  });
}

function describeRows({ changes }: Plan): string {
  const rows = changes.reduce((sum, { inserts, updates }) => sum + inserts + updates, 0);
  return `${countOf(rows, 'row')} to export`;
}

function describe(files: ExportedTable[]): string {
  const rows = files.reduce((sum, file) => sum + (file.rows ?? 0), 0);
  const counted = files.some((file) => file.rows !== null) ? `${countOf(rows, 'row')} in ` : '';
  const [first] = files;
  const more = files.length > 1 ? `, and ${countOf(files.length - 1, 'file')} beside it` : '';
  const notices = files.flatMap((file) => file.notices ?? []);
  return first === undefined ? 'nothing' : [`${counted}${first.place}${more}`, ...notices].join('; ');
}
