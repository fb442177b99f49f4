import { formatDuration, parseDuration } from './duration.ts';

/** RPO and RTO of a kind of data. A database may name several; the strictest value of each counts. */
export const CLASSES = {
  financial: { rpo: '1h' },
  'user-content': { rpo: '4h' },
  analytics: { rpo: '24h' },
  'critical-saas': { rto: '30m' },
  'internal-tools': { rto: '4h' },
} as const satisfies Record<string, { rpo?: string; rto?: string }>;
export type DatabaseClass = keyof typeof CLASSES;

const DEFAULTS = { rpo: '24h', rto: '4h' } as const;

/** One objective and where it comes from, for people: `class financial`, `set`, `default`. */
export interface Objective {
  ms: number;
  from: string;
}

/** What may be lost (RPO) and how long it may take to be back (RTO). */
export interface Objectives {
  rpoMs: number;
  rtoMs: number;
  rpoFrom: string;
  rtoFrom: string;
}

/** The strictest value of the classes; a value that is set explicitly overrides them; defaults 24h and 4h. */
export function deriveObjectives(given: {
  classes?: readonly DatabaseClass[] | undefined;
  rpo?: string | undefined;
  rto?: string | undefined;
}): Objectives {
  const rpo = strictest('rpo', given.classes ?? [], given.rpo);
  const rto = strictest('rto', given.classes ?? [], given.rto);
  return { rpoMs: rpo.ms, rpoFrom: rpo.from, rtoMs: rto.ms, rtoFrom: rto.from };
}

function strictest(
  name: 'rpo' | 'rto',
  classes: readonly DatabaseClass[],
  explicit: string | undefined,
): Objective {
  if (explicit !== undefined) return { ms: parseDuration(explicit), from: 'set' };
  const candidates: Objective[] = [];
  for (const each of classes) {
    const values: { rpo?: string; rto?: string } = CLASSES[each];
    const value = values[name];
    if (value !== undefined) candidates.push({ ms: parseDuration(value), from: `class ${each}` });
  }
  candidates.sort((a, b) => a.ms - b.ms);
  return candidates[0] ?? { ms: parseDuration(DEFAULTS[name]), from: 'default' };
}

/** `RPO 1h (class financial)`. */
export function describeObjective(name: 'RPO' | 'RTO', objectives: Objectives): string {
  const [ms, from] =
    name === 'RPO' ? [objectives.rpoMs, objectives.rpoFrom] : [objectives.rtoMs, objectives.rtoFrom];
  return `${name} ${formatDuration(ms)} (${from})`;
}
