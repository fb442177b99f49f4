import { countOf } from '../../model/plan.ts';
import { formatTime } from '../output.ts';
import { formatSpan } from '../view/duration.ts';
import { describeReadiness } from './disaster.ts';
import type { DatabaseReport, Report } from './facts.ts';
import { newestOfTiers, slowestNow } from './figures.ts';
import { Html, html, table } from './html.ts';
import { backups, badge, decisions, drills, findings, objectives, proofs, recoverable } from './sections.ts';
import { STYLE } from './style.ts';

/** One page that needs nothing else: no script, no font, no picture from anywhere. */
export function reportPage(report: Report): string {
  const now = new Date(report.writtenAt);
  const { databases, repository } = report;
  const [only] = databases;
  const title =
    only !== undefined && databases.length === 1
      ? `Backup and recovery of ${only.database}`
      : `Backup and recovery of ${countOf(databases.length, 'database')}`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>${title}, ${formatTime(now)}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<header>
<h1>${title}</h1>
<p class="soft">Written ${formatTime(now)} by <code>holdfast report</code> from the repository, bucket ${repository.bucket} in ${repository.region}. All times are UTC.</p>
</header>
<main>
${databases.length > 1 ? overview(databases) : null}
${databases.map((database) => section(database, now))}
</main>
<footer>A backup counts here only after a restore: <em>proved</em> means that it was restored on an isolated server and compared with what was backed up. A drill recovers something at random up to the plan, which it rejects: production is only read.</footer>
</body>
</html>
`.text;
}

function overview(databases: readonly DatabaseReport[]): Html {
  return table(
    'All databases',
    ['database', 'open', 'would be lost', 'RPO', 'last drill', 'RTO', 'proved'],
    databases.map(({ database, findings: open, objectives: { rpo, rto }, held }) => {
      const drill = held === null ? null : slowestNow(held.drills);
      const proved = newestOfTiers(held?.verifications ?? []).map(
        ({ tier, verdict }) => html`${tier} ${badge(verdict)} `,
      );
      return [
        html`<a href="#${anchorOf(database)}">${database}</a>`,
        open.length === 0
          ? html`<span class="good">nothing</span>`
          : html`<span class="bad">${open.length}</span>`,
        held === null ? 'not known' : spanOf(held.catalog.rpoSeconds, 'all'),
        spanOf(rpo.seconds, ''),
        drill === null
          ? html`<span class="warn">never</span>`
          : html`${spanOf(drill.recoverySeconds, '')} ${badge(drill.outcome)}`,
        spanOf(rto.seconds, ''),
        proved.length === 0 ? html`<span class="warn">never</span>` : proved,
      ];
    }),
  );
}

function section(report: DatabaseReport, now: Date): Html {
  const { database, engine, host, region, held } = report;
  const place = `${engine} on host ${host}${region === null ? '' : `, region ${region}`}`;
  return html`<section>
<h2 id="${anchorOf(database)}">${database}</h2>
<p class="soft">${place}</p>
<h3>Open findings</h3>
${findings(report)}
<h3>Objectives</h3>
${objectives(report)}
<h3>If its site is lost</h3>
<p>${describeReadiness(report.disaster, now)}</p>
${
  held === null
    ? null
    : html`<h3>What can be recovered</h3>
${recoverable(held, now)}
<h3>Backups</h3>
${backups(held, now)}
<h3>Verifications</h3>
${proofs(held, now)}
<h3>Drills</h3>
${drills(held, report.objectives.rto.seconds)}
<h3>Decisions</h3>
${decisions(held)}`
}
</section>
`;
}

const anchorOf = (database: string): string => `database-${database}`;
const spanOf = (seconds: number | null, none: string): string =>
  seconds === null ? none : formatSpan(seconds * 1_000);
