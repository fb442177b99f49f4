import { createHash } from 'node:crypto';
import type { Plan } from '../model/plan.ts';
import type { TableComparison } from './contract/change.ts';

const DIGITS = 16;

/**
 * The digest that an approval names: `sha256:` and 16 hexadecimal digits over the plan and, by each table's
 * `keysSha256`, over exactly the rows that each rule touches. Short enough to be typed. Where things lie on an
 * instance's disk plays no part: the same plan made again has the same digest.
 */
export function planDigest(plan: Omit<Plan, 'digest'>, comparisons: readonly TableComparison[]): string {
  const { digest: _, ...content } = plan as Plan;
  const keys = comparisons.map(({ table, rules }) => ({
    table,
    rules: rules.map(({ conflict, keysSha256 }) => ({ conflict, keysSha256 })),
  }));
  const text = canonicalJson({ plan: content, keys });
  return `sha256:${createHash('sha256').update(text).digest('hex').slice(0, DIGITS)}`;
}

/** JSON with the fields of every object in order and nothing undefined: equal values have equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`).join(',')}}`;
}
