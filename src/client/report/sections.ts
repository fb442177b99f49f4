import type { BackupTier } from '../../model/backup.ts';
import type { DrillOutcome } from '../../model/drill.ts';
import type { DecisionRecord } from '../../model/runbook.ts';
import { describeTarget } from '../../model/target.ts';
import type { Verdict } from '../../model/verification.ts';
import { formatAge, formatBytes, formatCount, formatTime } from '../output.ts';
import { formatSpan } from '../view/duration.ts';
import { drillChart, shortOf } from './drill-chart.ts';
import type { DatabaseReport, Held } from './facts.ts';
import { newestOfTiers, slowestNow } from './figures.ts';
import { type Html, html, moment, one, table } from './html.ts';
import { windowChart } from './window-chart.ts';

const GOOD: readonly (Verdict | DrillOutcome)[] = ['pass', 'met'];
const DOUBTFUL: readonly (Verdict | DrillOutcome)[] = ['inconclusive', 'skipped'];

export function badge(word: Verdict | DrillOutcome): Html {
  const look = GOOD.includes(word) ? 'good' : DOUBTFUL.includes(word) ? 'warn' : 'bad';
  return html`<span class="${look}">${word}</span>`;
}

export function findings({ findings: open }: DatabaseReport): Html {
  if (open.length === 0) return html`<p class="good">Nothing is open.</p>`;
  const items = open.map(
    ({ severity, what, hint }) =>
      html`<li class="${severity}"><strong class="${severity === 'critical' ? 'bad' : 'warn'}">${severity}</strong> ${what}<br><span class="soft">${hint}</span></li>\n`,
  );
  return html`<ul class="findings">${items}</ul>`;
}

export function objectives({ objectives: { rpo, rto }, held }: DatabaseReport): Html {
  const lost = held?.catalog.rpoSeconds ?? null;
  const drill = held === null ? null : slowestNow(held.drills);
  const taken = drill?.recoverySeconds ?? null;
  const verdict = (seconds: number | null, objective: number) =>
    seconds === null
      ? html`<span class="warn">not known</span>`
      : seconds <= objective
        ? html`<span class="good">met</span>`
        : html`<span class="bad">broken</span>`;
  return table(
    'What may be lost, how long a recovery may take, and how it stands',
    ['objective', 'is', 'comes from', 'now', ''],
    [
      [
        ...['RPO (what may be lost)', formatSpan(rpo.seconds * 1_000), rpo.from],
        lost === null ? 'nothing can be recovered' : `${formatSpan(lost * 1_000)} would be lost`,
        held === null ? verdict(null, 0) : verdict(lost ?? Number.POSITIVE_INFINITY, rpo.seconds),
      ],
      [
        ...['RTO (until it is back)', formatSpan(rto.seconds * 1_000), rto.from],
        taken === null ? 'never measured' : `${formatSpan(taken * 1_000)} in the last drill`,
        verdict(taken, rto.seconds),
      ],
    ],
  );
}

export function backups({ catalog, verifications }: Held, now: Date): Html {
  const tiers = (['physical', 'logical', 'snapshot'] as const satisfies readonly BackupTier[]).flatMap(
    (tier) => {
      const of = catalog.backups
        .filter((backup) => backup.tier === tier)
        .toSorted((a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt));
      const [newest] = of;
      if (newest === undefined) return [];
      const proof = verifications.find((one) => one.backup === newest.id);
      return [
        [
          ...[tier, formatCount(of.length), moment(of.at(-1)?.finishedAt ?? '')],
          html`${moment(newest.finishedAt)} (${formatAge(newest.finishedAt, now)})`,
          one(formatBytes(of.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))),
          newest.lockedUntil === null ? 'not locked' : html`until ${moment(newest.lockedUntil)}`,
          proof === undefined ? html`<span class="warn">not yet</span>` : badge(proof.verdict),
        ],
      ];
    },
  );
  if (tiers.length === 0) return html`<p class="bad">There are none.</p>`;
  const heads = ['tier', 'backups', 'oldest', 'newest', 'size', 'newest is locked', 'newest is proved'];
  return table('What the repository holds', heads, tiers);
}

export function proofs({ verifications }: Held, now: Date): Html {
  const newest = newestOfTiers(verifications);
  if (newest.length === 0) return html`<p class="warn">No backup was ever restored and verified.</p>`;
  return table(
    'The newest verification of each tier: restored on an isolated server, and compared',
    ['tier', 'verdict', 'when', 'backup', 'reasons'],
    newest.map(({ tier, verdict, finishedAt, backup, reasons }) => [
      ...[tier, badge(verdict), html`${moment(finishedAt)} (${formatAge(finishedAt, now)})`, one(backup)],
      reasons.length === 0 ? 'everything that was looked at is as it was backed up' : reasons.join('; '),
    ]),
  );
}

/** A year of monthly ones. */
const DRILLS_LISTED = 12;

export function drills({ drills: all }: Held, objectiveSeconds: number): Html {
  if (all.length === 0) return html`<p class="warn">There was none.</p>`;
  const rows = all.slice(0, DRILLS_LISTED).map((drill) => {
    const { finishedAt, target, tables, outcome, recoverySeconds, earlier, reasons } = drill;
    const to = target === null ? '' : ` to ${describeTarget(target)}`;
    const by = earlier?.slowerBySeconds ?? null;
    const beside = `${formatSpan(Math.abs(by ?? 0) * 1_000)} ${(by ?? 0) > 0 ? 'slower' : 'faster'}`;
    return [
      ...[
        moment(finishedAt),
        drill.runbook === null ? '–' : `${shortOf(drill)} of ${tables?.join(', ') ?? 'everything'}${to}`,
      ],
      badge(outcome),
      recoverySeconds === null ? '–' : one(formatSpan(recoverySeconds * 1_000)),
      by === null ? '–' : beside,
      reasons.join('; ') || '–',
    ];
  });
  return html`${drillChart(all, objectiveSeconds)}${table(
    'Each recovered something at random, up to but not into production',
    ['when', 'what', 'outcome', 'took', 'than earlier ones', 'reasons'],
    rows,
  )}`;
}

export function decisions({ decided }: Held): Html {
  if (decided.length === 0) return html`<p>Nobody was asked yet.</p>`;
  return table(
    'Plans that would change production, and who decided on them; the drills’ own rejections are left out',
    ['when', 'run', 'asked by', 'plan', 'decisions', 'came to'],
    decided.map(({ writtenAt, workflowId, requestedBy, reason, plan, decisions: said, outcome }) => [
      ...[moment(writtenAt), workflowId, `${requestedBy}: ${reason}`, plan ?? '–'],
      ...[said.map(decisionOf).join('; '), one(outcome)],
    ]),
  );
}

export function decisionOf({ by, action, at, comment, refused, conflict }: DecisionRecord): string {
  const what = `${by} ${action === 'approve' ? 'approved' : 'rejected'}${conflict === undefined ? '' : ` ${conflict}`}`;
  const counted = refused === undefined ? '' : `, which did not count (${refused})`;
  return `${what} ${formatTime(at)}${counted}${comment === undefined ? '' : `: ${comment}`}`;
}

export function recoverable({ catalog }: Held, now: Date): Html {
  return windowChart(catalog, now);
}
