import { expect, test } from 'vitest';
import { describeReadiness } from '../../../../src/client/report/disaster.ts';
import { drillChart } from '../../../../src/client/report/drill-chart.ts';
import { type Decided, type Held, reportOf } from '../../../../src/client/report/facts.ts';
import { escapeHtml, html } from '../../../../src/client/report/html.ts';
import { reportPage } from '../../../../src/client/report/page.ts';
import { formatReport } from '../../../../src/client/report/text.ts';
import { type DatabaseView, describeDatabase } from '../../../../src/config/describe.ts';
import { databaseText, exampleConfig } from '../../config/example.ts';
import { drill, HOSTILE, healthy, NOW, report, reported, troubled } from './facts.ts';

const page = reportPage(report());

/** The tags that are open at the end, and what was closed that was not open. */
function unbalanced(text: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  for (const [, close, name = '', rest] of text.matchAll(/<(\/?)([a-zA-Z][\w-]*)((?:"[^"]*"|[^">])*)>/g)) {
    if (['meta', 'br'].includes(name) || rest?.endsWith('/')) continue;
    if (close === '') open.push(name);
    else if (open.pop() !== name) wrong.push(name);
  }
  return [...open, ...wrong];
}

test('the page is whole: every tag is closed where it was opened', () => {
  expect(unbalanced(page)).toEqual([]);
  expect(page.match(/<h2 id="/g)).toHaveLength(3);
});

test('it needs nothing from elsewhere, and runs nothing', () => {
  expect(page).not.toMatch(/<(script|link|img|iframe|object|embed|base|form)\b/i);
  expect(page).not.toMatch(/\s(src|srcset|on\w+)\s*=\s*["']/i);
  expect(page).not.toMatch(/url\(|@import|javascript:/i);
  expect(page).toContain("default-src 'none'; style-src 'unsafe-inline'");
  expect([...page.matchAll(/href="([^"]*)"/g)].map(([, target]) => target)).toEqual([
    ...['#database-shop', '#database-users', '#database-away'],
  ]);
});

test('whatever people named stays text', () => {
  expect(page).toContain(escapeHtml(HOSTILE));
  expect(page).not.toContain('<script');
  expect(escapeHtml(HOSTILE)).toBe(
    '&quot;&gt;&lt;script src=//evil.example/x.js&gt;&lt;/script&gt;&amp;&#39;\ufffd',
  );
  expect(html`<p title="${HOSTILE}">${[HOSTILE, html`<br>`]}${null}</p>`.text).toBe(
    `<p title="${escapeHtml(HOSTILE)}">${escapeHtml(HOSTILE)}<br></p>`,
  );
});

test('it is read on a phone, aloud and in print', () => {
  expect(page).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">');
  expect(page).toContain('<html lang="en">');
  expect(page).toContain('@media print');
  for (const [svg] of page.matchAll(/<svg[\s\S]*?<\/svg>/g)) {
    expect(svg).toMatch(/role="img" aria-label="[^"]+"/);
    expect(svg).toMatch(/<title>[^<]+<\/title>/);
  }
  for (const [whole] of page.matchAll(/<table[\s\S]*?<\/table>/g)) {
    expect(whole).toMatch(/<caption>[^<]+<\/caption>/);
    expect(whole).toMatch(/<th scope="col"/);
    expect(whole).toMatch(/<th scope="row"/);
  }
});

const findings = (name: string, held: Parameters<typeof reported>[1]) =>
  reported(name, held).findings.map(({ severity, what }) => `${severity}: ${what}`);

test('of a database that is well nothing is open', () => {
  expect(findings('shop', healthy())).toEqual([]);
});

test('everything that is wrong, late or unproved is open, the worst first', () => {
  const open = findings('users', troubled());
  const text = open.join('\n');
  for (const what of [
    /verification of physical backup 20260601-210000F of users says fail/,
    /if users were lost now, the last 3d would be gone/,
    /there is no logical backup of users/,
    /3 logs of users are missing, 000000010000000000000007 to 000000010000000000000009/,
    /the last drill of users failed/,
    /warning: the last drill of users is 50d old/,
  ]) {
    expect(text).toMatch(what);
  }
  expect(text.indexOf('warning')).toBeGreaterThan(text.lastIndexOf('critical'));
});

test('what was never made, verified or drilled is open', () => {
  const { catalog } = healthy();
  const held = { catalog, verifications: [], drills: [], decided: [] };
  const text = findings('shop', held).join('\n');
  expect(text).toMatch(/no logical backup of shop was ever restored and verified/);
  expect(text).toMatch(/how long a recovery of shop takes was never drilled/);
  expect(findings('away', held).join('\n')).toMatch(/never drilled, and drill is off in the configuration/);
  expect(findings('away', 'no answer')).toEqual([
    'critical: what the repository holds of away cannot be read: no answer',
  ]);
});

test('the chart has every drill that was tried, a line for the objective, and both inside of the picture', () => {
  const drills = [drill(1, { recoverySeconds: 4_000, outcome: 'missed' }), ...troubled().drills];
  const svg = drillChart(drills, 1_800)?.text ?? '';
  expect(svg.match(/<g>/g)).toHaveLength(4);
  expect(svg).toContain('objective (RTO) 30m');
  for (const [, y] of svg.matchAll(/\by[12]?="([\d.-]+)"/g)) {
    expect(Number(y)).toBeGreaterThanOrEqual(0);
    expect(Number(y)).toBeLessThanOrEqual(200);
  }
  expect(drillChart([drill(1, { outcome: 'skipped' })], 1_800)).toBeNull();
});

test('a terminal shows the same', () => {
  const text = formatReport(report(), 100);
  expect(text).toMatch(/RTO +30m +class critical-saas +8m in the last drill +met/);
  expect(text).toMatch(/RPO .* 3d would be lost +BROKEN/);
  expect(text).toMatch(/ben approved insert-missing/);
  expect(text).toMatch(/cannot be read: no answer/);
  expect(formatReport({ ...report(), databases: [] }, 100)).toBe('');
  expect(NOW.toISOString()).toBe(report().writtenAt);
});

test('says whether a site can take a database over, and when that was last tried', () => {
  const config = exampleConfig({
    databases: databaseText('shop', 'takeover: {here: {address: 127.0.0.1, port: 1}}'),
  });
  const database = describeDatabase(config, 'shop');
  const of = (held: Held, view = database) => {
    const { disaster, findings: open } = reportOf(view, held, NOW);
    return { text: describeReadiness(disaster, NOW), open: open.map(({ what }) => what) };
  };
  expect(of(healthy())).toEqual({
    text: 'Can be taken over at here; never recovered there, and never drilled.',
    open: ['shop was never taken over at here, not in a drill either'],
  });
  const full = drill(3, { runbook: 'fullDisasterRecovery' });
  const drilled = { ...healthy(), drills: [drill(2), full] };
  expect(of(drilled)).toEqual({ text: 'Can be taken over at here; last drill 3d ago: met in 9m.', open: [] });
  const run = {
    ...healthy().decided[0],
    runbook: 'fullDisasterRecovery',
    writtenAt: NOW.toISOString(),
  } as Decided;
  const moved = {
    ...database,
    topology: { site: 'here', at: NOW.toISOString() } as DatabaseView['topology'],
  };
  expect(of({ ...drilled, decided: [run] }, moved).text).toBe(
    'It lives at here since 2026-06-15T12:00:00Z. Can be taken over at here; last recovery just now: completed.',
  );
  expect(page).toContain('No site can take it over (takeover in the configuration).');
  expect(formatReport(report(), null)).toContain('If its site is lost: No site can take it over');
});
