import type { DrillRecord } from '../../model/drill.ts';
import { formatTime } from '../output.ts';
import { formatSpan } from '../view/duration.ts';
import { type Html, html } from './html.ts';

/** The newest: more would not be legible on a phone. */
const MOST = 8;
const SIZE = { width: 360, height: 200, left: 8, right: 8, top: 34, bottom: 34 };
const FLOOR = SIZE.height - SIZE.bottom;

const SHORT = {
  pointInTimeRecovery: 'pitr',
  selectiveTableRestore: 'table',
  fullDisasterRecovery: 'full',
} as const;
export const shortOf = ({ runbook }: Pick<DrillRecord, 'runbook'>): string =>
  runbook === null ? 'none' : SHORT[runbook];

/** How long each drill took, oldest first, against the objective. Null where none came to an end or failed. */
export function drillChart(drills: readonly DrillRecord[], objectiveSeconds: number): Html | null {
  const shown = drills
    .filter(({ outcome }) => outcome !== 'skipped')
    .slice(0, MOST)
    .reverse();
  if (shown.length === 0) return null;
  const most = Math.max(objectiveSeconds, ...shown.map(({ recoverySeconds }) => recoverySeconds ?? 0));
  const y = (seconds: number) => Math.round((FLOOR - (seconds / most) * (FLOOR - SIZE.top)) * 10) / 10;
  const slot = (SIZE.width - SIZE.left - SIZE.right) / MOST;
  const label = `Recovery time of ${shown.length} drills against an objective of ${formatSpan(objectiveSeconds * 1_000)}: ${shown.map(wordsOf).join('; ')}.`;
  const bars = shown.map((drill, index) => {
    const middle = SIZE.left + slot * (index + 0.5);
    const seconds = drill.recoverySeconds;
    const top = y(seconds ?? 0);
    const colour = drill.outcome === 'met' ? '#0b6b2e' : '#b00020';
    return html`<g><title>${wordsOf(drill)}</title>
<rect x="${middle - 13}" y="${Math.min(top, FLOOR - 2)}" width="26" height="${Math.max(2, FLOOR - top)}" fill="${colour}"></rect>
<text x="${middle}" y="${Math.min(top, FLOOR - 2) - 4}" text-anchor="middle" fill="${colour}" font-weight="600">${seconds === null ? 'failed' : formatSpan(seconds * 1_000)}</text>
<text x="${middle}" y="${FLOOR + 13}" text-anchor="middle">${shortOf(drill)}</text>
<text x="${middle}" y="${FLOOR + 27}" text-anchor="middle">${drill.finishedAt.slice(5, 10)}</text></g>
`;
  });
  const line = y(objectiveSeconds);
  return html`<figure>
<svg class="drills" viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-label="${label}" font-size="11" fill="#1b1f24">
<title>${label}</title>
<line x1="0" x2="${SIZE.width}" y1="${FLOOR}" y2="${FLOOR}" stroke="#57606a"></line>
<text x="${SIZE.width}" y="${line < 24 ? line + 14 : line - 18}" text-anchor="end" fill="#7a4b00" font-weight="600">objective (RTO) ${formatSpan(objectiveSeconds * 1_000)}</text>
${bars}<line x1="0" x2="${SIZE.width}" y1="${line}" y2="${line}" stroke="#7a4b00" stroke-width="2" stroke-dasharray="6 4"></line>
</svg>
<figcaption>How long each recovery takes until its rows are back; the dashed line is the objective.</figcaption>
</figure>
`;
}

function wordsOf(drill: DrillRecord): string {
  const { outcome, recoverySeconds, finishedAt } = drill;
  const took = recoverySeconds === null ? '' : ` in ${formatSpan(recoverySeconds * 1_000)}`;
  return `${formatTime(finishedAt, 'up').slice(0, 10)} ${shortOf(drill)} ${outcome}${took}`;
}
