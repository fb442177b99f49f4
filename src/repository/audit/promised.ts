import { formatDuration } from '../../model/duration.ts';
import { DAY_MS } from './calendar.ts';
import type { Outlook } from './outlook.ts';

/** What is promised of a database, one line each, for people. */
export function promisesOf({ database, window, chains, horizon }: Outlook): string[] {
  const { policy, nodes } = database;
  const has = (kind: string) => nodes.some((node) => node.kind === kind);
  const lines: string[] = [];
  if (window !== null) lines.push(`a window of ${formatDuration(window.windowMs)}${young(chains.begins)}`);
  if (policy.fulls.length + policy.diffs.length > 0 || has('full'))
    lines.push(`physical backups for ${formatDuration(policy.physicalMs)}`);
  if (policy.logicals.length > 0 || has('logical'))
    lines.push(`logical backups for ${formatDuration(policy.logicalMs)}`);
  if (policy.snapshots) lines.push(`a snapshot a month for ${formatDuration(policy.snapshotMs)}`);
  return lines;

  /** A database that is younger than its window has it from its first base on only. */
  function young(begins: number): string {
    const whole = begins + (window?.windowMs ?? 0);
    if (!Number.isFinite(begins) || whole <= horizon.now) return '';
    return `, which begins on ${day(begins)} and is whole from ${day(Math.ceil(whole / DAY_MS) * DAY_MS)} on`;
  }
}

const day = (at: number): string => new Date(at).toISOString().slice(0, 10);
