import { formatDuration } from '../../model/duration.ts';

/** A span for people, in whole seconds: `0s`, `45s`, `1h30m`. */
export function formatSpan(milliseconds: number): string {
  const whole = Math.max(0, Math.round(milliseconds / 1_000)) * 1_000;
  return whole === 0 ? '0s' : formatDuration(whole);
}

/** From one time to another, or until now where there is no end yet; empty where it has not begun. */
export function formatTook(startedAt: string | null, finishedAt: string | null, now: Date): string {
  if (startedAt === null) return '';
  return formatSpan(
    (finishedAt === null ? now : new Date(finishedAt)).getTime() - new Date(startedAt).getTime(),
  );
}
