import { z } from 'zod';
import { HoldfastError } from './failure.ts';

const UNITS = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
} as const;
const FORM = /^(?:\d+(?:\.\d+)?[smhdwy])+$/;

/** Milliseconds of a duration such as `90s`, `5m`, `1h30m`, `7d`, `1y` (365 days). */
export function parseDuration(text: string): number {
  if (!FORM.test(text)) {
    throw new HoldfastError('InvalidInput', `"${text}" is not a duration`, {
      hint: 'write a number and a unit (s, m, h, d, w, y), for instance 90s, 5m, 1h30m or 7d',
    });
  }
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)([smhdwy])/g)) {
    total += Number(amount) * UNITS[unit as keyof typeof UNITS];
  }
  return total;
}

/** The two largest units of a span of milliseconds: `45s`, `5m`, `1h30m`, `7d`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1_000) return `${Math.round(milliseconds)}ms`;
  let rest = milliseconds < 60_000 ? milliseconds : Math.round(milliseconds / 1_000) * 1_000;
  const parts: string[] = [];
  for (const unit of ['d', 'h', 'm'] as const) {
    const amount = Math.floor(rest / UNITS[unit]);
    if (amount > 0) parts.push(`${amount}${unit}`);
    rest -= amount * UNITS[unit];
  }
  if (rest > 0) parts.push(`${Number((rest / 1_000).toFixed(milliseconds < 10_000 ? 1 : 0))}s`);
  return parts.slice(0, 2).join('');
}

/** A duration in a configuration or an input; kept as text, read with {@link parseDuration}. */
export const durationSchema = z.string().regex(FORM, 'must be a duration such as 90s, 5m, 1h30m or 7d');
