import type { AuditCalendar, AuditFinding, AuditReport } from '../../model/audit.ts';
import { countOf } from '../../model/plan.ts';
import { formatBytes, formatCount, formatTime } from '../output.ts';
import { Html, html, moment, table } from '../report/html.ts';
import { STYLE } from '../report/style.ts';
import { describeDistance, holdingsOf, needsRoom, troublesOf, verdictOf, worstFirst } from './calendar.ts';
import { legend, yearPicture } from './picture.ts';
import { yearStrip } from './strip.ts';
import { AUDIT_STYLE } from './style.ts';

/** What is said of a trouble below its calendar; each day says all of its own. */
const MOST_LINES = 4;
/** Of more databases than these, those that all is well with have a line in the table and no calendar: pages have an end. */
const MANY = 50;

/** The audit as one page that needs nothing else: no script, no font, no picture from anywhere. */
export function auditPage(report: AuditReport): string {
  const { at, repository, looked, findings, calendars } = report;
  const verdict = verdictOf(report);
  const ofAll = findings.filter(
    ({ database }) => database === null || !calendars.some((each) => each.database === database),
  );
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>${verdict.text}: audit of ${repository.bucket}, ${formatTime(at)}</title>
<style>${new Html(STYLE + AUDIT_STYLE)}</style>
</head>
<body>
<header>
<h1 class="${verdict.isGood ? 'good' : 'bad'}">${verdict.text}</h1>
<p class="soft">Audit of bucket ${repository.bucket} in ${repository.region}${repository.prefix === '' ? null : html`, prefix <code>${repository.prefix}</code>`}, written ${formatTime(at)} by <code>holdfast repository audit</code>. Looked at ${countOf(looked.versions, 'version')} (${formatBytes(looked.bytes)}) and ${countOf(looked.markers, 'delete marker')}; ${formatCount(looked.headed)} were asked for their lock and key one by one. All times are UTC.</p>
${legend()}</header>
<main>
${ofAll.length === 0 ? null : html`<h3>The repository</h3>\n${findingList(ofAll, at)}`}
${calendars.length > 1 ? overview(report) : null}
${shownOf(report).map((calendar) => section(calendar, report))}
</main>
<footer>The calendar is played forward over what the repository really holds and what the schedules will add to it, by the bucket's own rules and locks. It asks of every day: can everything that is promised on it still be restored?</footer>
</body>
</html>
`.text;
}

const shownOf = (report: AuditReport): AuditCalendar[] =>
  worstFirst(report.calendars).filter((calendar) => needsRoom(calendar, report, MANY));

function overview(report: AuditReport): Html {
  const { calendars, findings, at } = report;
  const shown = new Set(shownOf(report));
  const left = calendars.length - shown.size;
  return table(
    `All databases, and their year from today on${left === 0 ? '' : `; ${left} that all is well with have no calendar below`}`,
    ['database', 'state', 'the year', 'findings'],
    worstFirst(calendars).map((calendar) => [
      shown.has(calendar)
        ? html`<a href="#${anchorOf(calendar)}">${calendar.database}</a>`
        : calendar.database,
      stateOf(calendar, at),
      yearStrip(calendar),
      countsOf(findings.filter(({ database }) => database === calendar.database)),
    ]),
  );
}

function countsOf(findings: AuditFinding[]): Html | string {
  const parts = (['critical', 'warning', 'info'] as const).flatMap((severity) => {
    const amount = findings.filter((each) => each.severity === severity).length;
    return amount === 0 ? [] : [`${amount} ${severity}`];
  });
  return parts.length === 0 ? 'none' : parts.join(', ');
}

function stateOf(calendar: AuditCalendar, at: string): Html {
  const [first] = troublesOf(calendar);
  if (first === undefined) return html`<span class="good">kept</span>`;
  return first.from <= at.slice(0, 10)
    ? html`<span class="bad">broken today</span>`
    : html`<span class="bad">breaks ${first.from}</span>`;
}

function section(calendar: AuditCalendar, { findings, at }: AuditReport): Html {
  const own = findings.filter(({ database }) => database === calendar.database);
  return html`<section class="database">
<h2 id="${anchorOf(calendar)}">${calendar.database}: ${stateOf(calendar, at)}</h2>
<div>
${yearPicture(calendar)}${troubleList(calendar)}</div>
<div>
${own.length === 0 ? html`<p class="good">Nothing is found.</p>` : findingList(own, at)}
<h3>Promised</h3>
<ul class="plain">${calendar.promises.map((promise) => html`<li>${promise}</li>`)}</ul>
<h3>Held</h3>
${holdings(calendar)}</div>
</section>
`;
}

function findingList(findings: AuditFinding[], at: string): Html {
  return html`<ul class="findings">${findings.map(({ severity, what, firstDay, hint }) => {
    const kind = { critical: 'bad', warning: 'warn', info: 'soft' }[severity];
    const when =
      firstDay === null
        ? null
        : html` <span class="when">from <time datetime="${firstDay}">${firstDay}</time>, ${describeDistance(firstDay, at)}</span>`;
    return html`<li class="${severity}"><span class="${kind}">${severity}</span>${when}<br>${what}<br><span class="soft">Hint: ${hint}</span></li>\n`;
  })}</ul>
`;
}

function troubleList(calendar: AuditCalendar): Html | null {
  const troubles = troublesOf(calendar);
  if (troubles.length === 0) return null;
  return html`<h3>Days on which a promise does not hold</h3>
<ul class="plain">${troubles.map(({ from, to, days, broken }) => {
    const left = broken.length - MOST_LINES;
    const lines = [...broken.slice(0, MOST_LINES), ...(left > 0 ? [`and ${left} more`] : [])];
    const when = from === to ? from : `${from} to ${to}, ${days} days`;
    return html`<li><span class="bad">${when}</span>${lines.map((line) => html`<br>${line}`)}</li>\n`;
  })}</ul>
`;
}

function holdings(calendar: AuditCalendar): Html {
  const windowFrom = calendar.spans[0]?.windowFrom ?? null;
  const window =
    windowFrom === null
      ? null
      : html`<p>Today every moment since ${moment(windowFrom)} can be recovered.</p>\n`;
  return html`${window}${table(
    'Backups that can be restored',
    ['', 'today', 'fewest in the year'],
    holdingsOf(calendar).map(({ what, today, least }) => [
      what,
      today,
      least.amount === today ? least.amount : `${least.amount}, on ${least.day}`,
    ]),
  )}`;
}

const anchorOf = ({ database }: AuditCalendar): string => `database-${database}`;
