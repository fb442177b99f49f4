import { formatFailure } from '../../model/failure.ts';
import type { Finding } from '../../model/finding.ts';
import { formatParagraph, style } from '../output.ts';

/** `OK      check: detail`, or `FAILED  check: detail` and its hint below. */
export function formatFinding({ check, ok, detail, hint }: Finding, width: number | null): string {
  const mark = ok ? style('green', 'OK    ') : style(['bold', 'red'], 'FAILED');
  const text = formatFailure(`${check}: ${detail}`, hint ?? undefined);
  return `${mark}  ${formatParagraph(text, '        ', width).trimStart()}`;
}
