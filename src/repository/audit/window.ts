import { type Backup, isReplayed } from './backup.ts';
import { DAY_MS, type Horizon, type Span, uncovered } from './calendar.ts';
import type { AuditedDatabase, AuditedNode } from './facts.ts';
import { type Ending, earlier, PAST } from './fate.ts';
import type { BackupLife, Life } from './life.ts';
import { firstEndings } from './planned.ts';
import { type Piece, replaysFrom, type Stretch, stretchesOver } from './replay.ts';

/** From its end until its chain breaks, a base leads to every moment since, up to the newest. */
export interface Serving extends Span {
  base: Backup;
  /** what ends it */
  limit: Limit;
}
export interface Limit {
  what: 'base' | 'needed' | 'logs' | 'archive';
  ending: Ending;
  /** the backup that is damaged; null: logs are */
  gone: Backup | null;
}

export interface Chains {
  /** every base that can be replayed, in the order of their ends */
  serving: Serving[];
  /** the same, where nothing has to be thawed */
  ready: Span[];
  /** the first end of a base in the archive that is written now */
  begins: number;
  /** what is archived, as a base of a timeline meets it */
  stretchesOver(timeline: number): Stretch[];
}

export interface ChainInput {
  database: AuditedDatabase;
  archive: string;
  lives: Map<Backup, BackupLife>;
  logLives: Map<AuditedNode, Life>;
  /** of each day to come */
  plannedLogs: readonly Life[];
  cutoffs: readonly { at: number; from: number }[];
  horizon: Horizon;
}

/** Which bases lead to now, and until when. */
export function chainsOf(input: ChainInput): Chains {
  const bases = [...input.lives.values()]
    .filter(({ backup }) => isReplayed(backup, input.database.policy) && isInArchive(backup, input.archive))
    .sort((a, b) => a.backup.finishedAt - b.backup.finishedAt);
  const sound = replayIn(input, ({ sound }) => sound);
  const ready = replayIn(input, ({ sound, archived }) => earlier(sound, archived));
  const spans = bases.map((life): Serving & { readyTo: number } => {
    const { backup } = life;
    const logs = sound.limitOf(backup);
    const cut: Limit = { what: 'archive', ending: cutOf(backup, input.cutoffs), gone: null };
    const limits = [ownLimit(life), logs, cut];
    const limit = limits.reduce((first, one) => (one.ending.at < first.ending.at ? one : first));
    const readyTo = Math.min(life.ready, ready.limitOf(backup).ending.at, cut.ending.at);
    return { base: backup, from: backup.finishedAt, to: limit.ending.at, limit, readyTo };
  });
  const known = bases.filter(({ backup }) => backup.node !== null);
  return {
    serving: spans,
    ready: spans.map(({ from, readyTo }) => ({ from, to: readyTo })),
    begins: (known[0] ?? bases[0])?.backup.finishedAt ?? Number.POSITIVE_INFINITY,
    stretchesOver: sound.over,
  };
}

/**
 * When the window is not kept: there is no base that ended before its beginning, or before history began, and leads to
 * now.
 */
export function windowHoles(
  spans: readonly Span[],
  begins: number,
  windowMs: number,
  { now, end }: Horizon,
): Span[] {
  const kept = spans.map(({ from, to }) => ({ from: from <= begins ? begins : from + windowMs, to }));
  return uncovered({ from: now, to: end }, kept);
}

/** The archive that is written now: numbers of another one say nothing about it. */
export function currentArchive({ nodes, policy }: AuditedDatabase): string {
  const newest = (kinds: readonly AuditedNode['kind'][]) =>
    nodes
      .filter(({ kind }) => kinds.includes(kind))
      .reduce<AuditedNode | null>(
        (last, node) => (last === null || node.finishedAt > last.finishedAt ? node : last),
        null,
      );
  const node =
    newest(['logs']) ?? newest(policy.shippedLockMs === undefined ? ['full', 'diff'] : ['logical']);
  return node?.segments?.archive ?? node?.replayFrom?.archive ?? '';
}

function isInArchive({ node }: Backup, archive: string): boolean {
  return node === null || (node.replayFrom?.archive ?? '') === archive;
}

function ownLimit(life: BackupLife): Limit {
  const { backup, sound, restorable, needed } = life;
  if (sound.at <= restorable.at) return { what: 'base', ending: sound, gone: backup };
  return { what: 'needed', ending: restorable, gone: needed?.life.backup ?? null };
}

/** When the tool has removed logs that are older than the base, and younger. */
function cutOf({ startedAt }: Backup, cutoffs: ChainInput['cutoffs']): Ending {
  let [low, high] = [0, cutoffs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((cutoffs[middle]?.from ?? 0) > startedAt) high = middle;
    else low = middle + 1;
  }
  return { at: cutoffs[low]?.at ?? Number.POSITIVE_INFINITY, cause: { by: 'tool' } };
}

function replayIn(
  { database, archive, logLives, plannedLogs, horizon }: ChainInput,
  endingOf: (life: Life) => Ending,
) {
  const pieces = database.nodes.flatMap((node): Piece[] => {
    const { segments } = node;
    const life = logLives.get(node);
    if (segments === undefined || life === undefined || (segments.archive ?? '') !== archive) return [];
    return [{ ...segments, ending: endingOf(life), node }];
  });
  const stretches = new Map<number, Stretch[]>();
  const replays = new Map<number, ReturnType<typeof replaysFrom>>();
  const toCome = firstEndings(plannedLogs.map(endingOf));
  const over = (timeline: number) => {
    const known = stretches.get(timeline) ?? stretchesOver(pieces, timeline);
    stretches.set(timeline, known);
    return known;
  };
  const limitOf = ({ node, startedAt }: Backup): Limit => {
    const day = Math.max(0, Math.floor((startedAt - horizon.midnight) / DAY_MS));
    const coming: Limit = { what: 'logs', ending: toCome[day] ?? PAST, gone: null };
    if (node === null) return coming;
    if (node.replayFrom === undefined) return { what: 'logs', ending: PAST, gone: null };
    const { timeline, first, stop } = node.replayFrom;
    const replay = replays.get(timeline) ?? replaysFrom(over(timeline));
    replays.set(timeline, replay);
    const ending = replay(first, stop);
    return ending.at < coming.ending.at ? { what: 'logs', ending, gone: null } : coming;
  };
  return { limitOf, over };
}
