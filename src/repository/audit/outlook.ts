import { type Backup, existingBackups, isInStanza } from './backup.ts';
import type { Horizon, Span } from './calendar.ts';
import { playTool } from './expiry.ts';
import type { AuditedDatabase, AuditedNode, AuditFacts } from './facts.ts';
import { earlier } from './fate.ts';
import { baseRuns, plannedCopies } from './future.ts';
import { type BackupLife, type Extension, type Life, lifeOfNode, livesOf, type World } from './life.ts';
import {
  type PlannedKind,
  type PlannedObject,
  plannedHold,
  plannedLife,
  plannedLogs,
  plannedObjects,
} from './planned.ts';
import { type Chains, chainsOf, currentArchive, windowHoles } from './window.ts';

/** A database with all that it has and will have within the horizon, and until when. */
export interface Outlook {
  database: AuditedDatabase;
  horizon: Horizon;
  /** the archive that is written now */
  archive: string;
  lives: Map<Backup, BackupLife>;
  logLives: Map<AuditedNode, Life>;
  planned: Record<PlannedKind, PlannedObject[]>;
  chains: Chains;
  /** null: no window is promised */
  window: { windowMs: number; holes: Span[]; unready: Span[] } | null;
}

/** Plays the schedules, the tool's expiry and the rules. */
export function outlookOf(
  database: AuditedDatabase,
  { bucket, horizon, world }: { bucket: AuditFacts['bucket']; horizon: Horizon; world: World },
): Outlook {
  const { policy, stanza, nodes } = database;
  const archive = currentArchive(database);
  const existing = existingBackups(database);
  const tool = playTool(
    existing.filter((backup) => isInStanza(backup, stanza)),
    baseRuns(policy, horizon),
    policy,
  );
  const isLocked = policy.lock !== null && bucket.objectLock !== null;
  const extensionsOf = (backup: Backup): Extension[] =>
    isLocked
      ? (tool.differentials.get(backup) ?? []).map(({ finishedAt, promisedUntil }) => ({
          at: finishedAt,
          until: promisedUntil,
        }))
      : [];
  const planned = plannedObjects(database, archive, world);
  const lifeOf = (backup: Backup): Life => {
    const { node, kind, startedAt } = backup;
    const extensions = extensionsOf(backup);
    const hold = () => plannedHold(backup, bucket, policy.lock !== null);
    const life =
      node === null
        ? plannedLife(planned[kind], startedAt, { hold: hold(), world, extensions })
        : lifeOfNode(node, world, extensions);
    const expired = tool.expired.get(backup);
    if (expired === undefined) return life;
    return { ...life, sound: earlier(life.sound, { at: expired, cause: { by: 'tool' } }) };
  };
  const copies = plannedCopies(policy, existing, horizon);
  const lives = livesOf([...existing, ...tool.planned, ...copies], lifeOf);
  const logLives = new Map(
    nodes.filter(({ kind }) => kind === 'logs').map((node) => [node, lifeOfNode(node, world)]),
  );
  const chains = chainsOf({
    ...{ database, archive, lives, logLives, horizon },
    plannedLogs: plannedLogs(planned.logs, horizon, {
      ...{ world, bucket },
      lockMs: isLocked ? (policy.shippedLockMs ?? null) : null,
    }),
    cutoffs: tool.cutoffs,
  });
  const outlook = { database, horizon, archive, lives, logLives, planned, chains };
  const { windowMs } = policy;
  if (windowMs === null) return { ...outlook, window: null };
  const holes = (spans: readonly Span[]) => windowHoles(spans, chains.begins, windowMs, horizon);
  return { ...outlook, window: { windowMs, holes: holes(chains.serving), unready: holes(chains.ready) } };
}

/** Logs are needed until the window can begin in a base behind them. */
export function neededLogs({ database, archive, chains, window, horizon }: Outlook) {
  if (window === null) return [];
  const bases = chains.serving.map(({ base }) => base).sort((a, b) => a.startedAt - b.startedAt);
  return database.nodes.flatMap((node) => {
    if (node.segments === undefined || (node.segments.archive ?? '') !== archive) return [];
    const next = bases.find(({ startedAt }) => startedAt >= node.finishedAt);
    const until = (next?.finishedAt ?? Number.NEGATIVE_INFINITY) + window.windowMs;
    return until > horizon.now ? [{ node, until }] : [];
  });
}
