import type { Progress } from '../../model/progress.ts';
import { formatBytes, formatCount } from '../output.ts';
import type { Speed } from '../progress.ts';
import { formatSpan } from './duration.ts';

/** `uploading: 1.2 GiB of 3.4 GiB (35%), 92 MiB/s, 24s left`. */
export function formatProgress(progress: Progress, speed: Speed | null): string {
  const parts: string[] = [];
  const { done, total, unit } = progress;
  if (done !== undefined) {
    const share = total !== undefined && total > 0 ? ` (${Math.floor((100 * done) / total)}%)` : '';
    const of = total === undefined ? '' : ` of ${amountOf(total, unit)}`;
    parts.push(`${amountOf(done, total === undefined || unit === 'bytes' ? unit : undefined)}${of}${share}`);
  }
  if (speed !== null) {
    parts.push(`${amountOf(speed.perSecond, unit === 'bytes' ? unit : undefined)}/s`);
    if (speed.secondsLeft !== null) parts.push(`${formatSpan(speed.secondsLeft * 1_000)} left`);
  }
  if (progress.detail !== undefined) parts.push(progress.detail);
  return parts.length === 0 ? progress.phase : `${progress.phase}: ${parts.join(', ')}`;
}

function amountOf(amount: number, unit: Progress['unit']): string {
  if (unit === 'bytes') return formatBytes(amount);
  const count = amount < 10 && !Number.isInteger(amount) ? amount.toFixed(1) : formatCount(amount);
  return unit === undefined ? count : `${count} ${unit}`;
}
