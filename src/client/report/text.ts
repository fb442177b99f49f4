import { formatAge, formatParagraph, formatTable, formatTime, style } from '../output.ts';
import { formatSpan } from '../view/duration.ts';
import { formatWindow } from '../view/window.ts';
import { describeReadiness } from './disaster.ts';
import { shortOf } from './drill-chart.ts';
import type { DatabaseReport, Held, Report } from './facts.ts';
import { newestOfTiers, slowestNow } from './figures.ts';
import { decisionOf } from './sections.ts';

/** Rows of a kind that are shown in a terminal; the page and the JSON have more. */
const MOST = 5;

/** The same as the page, for a terminal. */
export function formatReport(report: Report, width: number | null): string {
  const now = new Date(report.writtenAt);
  return report.databases.map((database) => formatDatabase(database, now, width)).join('\n\n\n');
}

function formatDatabase(report: DatabaseReport, now: Date, width: number | null): string {
  const { held } = report;
  return [
    style('bold', report.database),
    formatFindings(report, width),
    formatObjectives(report),
    formatParagraph(`If its site is lost: ${describeReadiness(report.disaster, now)}`, '  ', width),
    ...(held === null
      ? []
      : [
          formatWindow(held.catalog, now, width ?? 100),
          proofs(held, now),
          drills(held),
          decided(held, width),
        ]),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function formatFindings({ findings }: DatabaseReport, width: number | null): string {
  if (findings.length === 0) return `  ${style('green', 'nothing is open')}`;
  return findings
    .map(({ severity, what, hint }) => {
      const head = style(severity === 'critical' ? 'red' : 'yellow', severity.toUpperCase());
      const lines = formatParagraph(hint === null ? what : `${what}\nHINT: ${hint}`, '    ', width);
      return `  ${head}\n${lines}`;
    })
    .join('\n');
}

function formatObjectives({ objectives: { rpo, rto }, held }: DatabaseReport): string {
  const lost = held?.catalog.rpoSeconds ?? null;
  const taken = held === null ? null : (slowestNow(held.drills)?.recoverySeconds ?? null);
  const met = (seconds: number | null, objective: number) =>
    seconds === null ? '' : seconds <= objective ? style('green', 'met') : style('red', 'BROKEN');
  const row = (name: string, { seconds, from }: typeof rpo, now: string, is: number | null) => [
    ...[name, formatSpan(seconds * 1_000), from, now, met(is, seconds)],
  ];
  return formatTable(
    [{ head: 'objective' }, { head: 'is', align: 'right' }, { head: 'from' }, { head: 'now' }, { head: '' }],
    [
      row('RPO', rpo, lost === null ? 'not known' : `${formatSpan(lost * 1_000)} would be lost`, lost),
      row(
        'RTO',
        rto,
        taken === null ? 'never measured' : `${formatSpan(taken * 1_000)} in the last drill`,
        taken,
      ),
    ],
    { indent: '  ' },
  );
}

function proofs({ verifications }: Held, now: Date): string {
  const heads = [
    { head: 'verified' },
    { head: 'backup' },
    { head: 'when', align: 'right' as const },
    { head: '' },
  ];
  return formatTable(
    [...heads, { head: 'reasons' }],
    newestOfTiers(verifications).map(({ tier, backup, finishedAt, verdict, reasons }) => [
      ...[tier, backup, formatAge(finishedAt, now), verdict, reasons.join('; ')],
    ]),
    { indent: '  ' },
  );
}

function drills({ drills: all }: Held): string {
  const heads = [{ head: 'drill' }, { head: 'of' }, { head: '' }, { head: 'took', align: 'right' as const }];
  return formatTable(
    [...heads, { head: 'reasons' }],
    all
      .slice(0, MOST)
      .map((drill) => [
        formatTime(drill.finishedAt, 'up'),
        `${shortOf(drill)} ${drill.tables?.join(', ') ?? ''}`.trim(),
        drill.outcome,
        drill.recoverySeconds === null ? '' : formatSpan(drill.recoverySeconds * 1_000),
        drill.reasons.join('; '),
      ]),
    { indent: '  ' },
  );
}

function decided({ decided: runs }: Held, width: number | null): string {
  return formatTable(
    [{ head: 'decided' }, { head: 'came to' }, { head: 'by' }],
    runs
      .slice(0, MOST)
      .map(({ workflowId, outcome, decisions }) => [
        workflowId,
        outcome,
        decisions.map(decisionOf).join('\n'),
      ]),
    { indent: '  ', width },
  );
}
