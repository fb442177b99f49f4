import type { AuditFinding } from '../../model/audit.ts';
import { formatDuration } from '../../model/duration.ts';
import { dayOf, type Horizon, type Span, uncovered } from './calendar.ts';
import type { AuditedPolicy } from './facts.ts';
import type { BackupLife } from './life.ts';
import type { Broken, MissingMonth } from './promises.ts';
import { monthName } from './promises.ts';
import { countOf } from './spans.ts';
import type { Limit, Serving } from './window.ts';
import { basesOf, describeCause, finding, firstDay, hintOf, keyOf, more, nameOf, when } from './words.ts';

/** One finding for each cause: the first victim by name, and how many more. */
export function tellBroken(database: string, broken: readonly Broken[], horizon: Horizon): AuditFinding[] {
  const groups = Map.groupBy(broken, ({ code, cause }) => `${code} ${keyOf(cause)}`);
  return [...groups.values()].map((group) => {
    const [first] = group as [Broken];
    const { code, cause, gone, from } = first;
    const day = when(from, horizon);
    return finding('critical', code, {
      database,
      what: `${describeCause(cause)} removes ${nameOf(gone)} ${day}${code === 'needed-gone' ? `: ${needed(group)}` : `, ${early(group)}`}`,
      firstDay: firstDay(from, horizon),
      hint: hintOf(cause),
    });
  });
}

function early(group: readonly Broken[]): string {
  const [{ from, to }] = group as [Broken];
  return `${formatDuration(to - from)} before its retention ends (${dayOf(to)})${more(group.length - 1, 'goes too early', 'go too early')}`;
}

function needed(group: readonly Broken[]): string {
  const [{ gone }] = group as [Broken];
  const victims = group.filter((one) => one.gone === gone);
  const until = dayOf(Math.max(...victims.map(({ to }) => to)));
  const kinds = [...Map.groupBy(victims, ({ victim }) => victim.kind)];
  const who = kinds.map(([kind, ofKind]) => countOf(ofKind.length, kind)).join(' and ');
  const others = new Set(group.map((one) => one.gone)).size - 1;
  return `${who} ${victims.length === 1 ? 'needs' : 'need'} it until ${until}${more(others, 'goes the same way', 'go the same way')}`;
}

/** The first day on which the window does not hold, and what breaks it. */
export function tellWindow(
  database: string,
  holes: readonly Span[],
  known: {
    windowMs: number;
    serving: readonly Serving[];
    horizon: Horizon;
    policy: Pick<AuditedPolicy, 'shippedLockMs'>;
  },
): AuditFinding[] {
  const [hole] = holes;
  if (hole === undefined) return [];
  const { windowMs, serving, horizon, policy } = known;
  const window = `the window of ${formatDuration(windowMs)}`;
  const long =
    hole.to >= horizon.end ? 'to the end of the calendar' : `for ${formatDuration(hole.to - hole.from)}`;
  const limit = serving
    .filter(({ to }) => to === hole.from)
    .reduce<Serving | null>(
      (oldest, one) => (oldest === null || one.from < oldest.from ? one : oldest),
      null,
    );
  const [why, hint] =
    limit === null
      ? [nothingServes(serving, hole, { ...horizon, ...basesOf(policy) }), startHint(policy)]
      : [reasonOf(limit), hintOf(limit.limit.ending.cause)];
  const begun = hole.from <= horizon.now ? 'now' : `from ${dayOf(hole.from)} on`;
  const what = `${window} is not kept ${begun}, ${long}: ${why}${more(holes.length - 1, 'time', 'times')}`;
  return [
    finding('critical', 'window-broken', { database, what, firstDay: firstDay(hole.from, horizon), hint }),
  ];
}

const startHint = (policy: Pick<AuditedPolicy, 'shippedLockMs'>): string =>
  `holdfast catalog shows gaps and what can be recovered; holdfast backup ${basesOf(policy).begin} begins a new window`;

function nothingServes(
  serving: readonly Serving[],
  hole: Span,
  { now, named }: Pick<Horizon, 'now'> & { named: string },
): string {
  const there = serving.filter(({ from }) => from <= hole.from);
  if (there.length === 0) return `there is no ${named} backup yet that logs lead on from`;
  const whole = there.find(({ to }) => to > Math.max(now, hole.from));
  if (whole !== undefined)
    return `only from ${new Date(whole.from).toISOString().slice(0, 16)}Z on everything can be recovered; what is older is damaged, or its logs are`;
  return 'no base is whole together with all logs since its start';
}

function reasonOf({ base, limit }: Serving): string {
  const what: Record<Limit['what'], string> = {
    base: nameOf(base),
    needed: `${limit.gone === null ? 'what' : `${nameOf(limit.gone)}, which`} ${nameOf(base)} needs`,
    logs: `logs that ${nameOf(base)} needs`,
    archive: `the logs from ${nameOf(base)} on`,
  };
  return `${describeCause(limit.ending.cause)} removes ${what[limit.what]}, and no other base is old enough by then`;
}

export function tellMonths(
  database: string,
  months: readonly MissingMonth[],
  horizon: Horizon,
): AuditFinding[] {
  const [first] = months;
  if (first === undefined) return [];
  const { month, from, made } = first;
  // What makes one now ends with the month: of a past one it stays lost.
  let [why, hint] = ['none was made', `holdfast backup ${database} --tier snapshot makes one of this month`];
  const ended = made.find(({ restorable }) => restorable.at <= from);
  if (ended !== undefined) {
    const { at, cause } = ended.restorable;
    const isLost = at === Number.NEGATIVE_INFINITY;
    why = isLost
      ? `${nameOf(ended.backup)} cannot be restored`
      : `${describeCause(cause)} removes ${nameOf(ended.backup)}`;
    hint = hintOf(cause);
  }
  const others = new Set(months.map((one) => one.month)).size - 1;
  return [
    finding('critical', 'too-few', {
      ...{ database, hint, firstDay: firstDay(from, horizon) },
      what: `there is no snapshot of ${monthName(month)} ${when(from, horizon)}: ${why}${more(others, 'month has none', 'months have none')}`,
    }),
  ];
}

/** The window is kept, but a recovery within it would have to wait for a thaw. */
export function tellThaw(
  database: string,
  { holes, unready }: { holes: readonly Span[]; unready: readonly Span[] },
  horizon: Horizon,
): AuditFinding[] {
  const spans = unready.flatMap((span) => uncovered(span, holes));
  const [first] = spans;
  if (first === undefined) return [];
  const from = first.from <= horizon.now ? 'now' : `from ${dayOf(first.from)} on`;
  const until =
    first.to >= horizon.end ? '' : `, until ${dayOf(first.to)}${more(spans.length - 1, 'time', 'times')}`;
  return [
    finding('warning', 'archived', {
      database,
      what: `a recovery within the window has to thaw something first, ${from}${until}`,
      firstDay: firstDay(first.from, horizon),
      hint: 'let the rule move things later than the window and the time between two fulls; holdfast repository plan shows the rules that fit',
    }),
  ];
}

/** Manifests are read at every step, by the catalog: they may not lie in an archive class. */
export function tellUnlisted(
  database: string,
  lives: readonly BackupLife[],
  horizon: Horizon,
): AuditFinding[] {
  const hidden = lives
    .map(({ backup, unlisted, sound }) => ({
      backup,
      unlisted,
      at: Math.max(unlisted.at, backup.finishedAt),
      sound,
    }))
    .filter(({ backup, at, sound }) => at < Math.min(backup.promisedUntil, sound.at, horizon.end))
    .sort((a, b) => a.at - b.at);
  const [first] = hidden;
  if (first === undefined) return [];
  const { backup, at, unlisted } = first;
  const by =
    unlisted.cause.by === 'rule' ? `${describeCause(unlisted.cause)} moves` : 'an archive class holds';
  return [
    finding('critical', 'archived', {
      database,
      what: `${by} the manifest of ${nameOf(backup)} ${when(at, horizon)}: without it the catalog does not know the backup${more(hidden.length - 1, 'goes the same way', 'go the same way')}`,
      firstDay: firstDay(at, horizon),
      hint: hintOf(unlisted.cause),
    }),
  ];
}
