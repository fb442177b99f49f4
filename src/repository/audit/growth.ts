import type { AuditFinding } from '../../model/audit.ts';
import type { AuditFacts } from './facts.ts';
import { fateOf, NO_HOLD, type Store } from './fate.ts';
import type { Outlook } from './outlook.ts';
import type { PlannedKind, PlannedObject } from './planned.ts';
import { finding, plural } from './words.ts';

const KINDS: Record<PlannedKind, string> = {
  full: 'physical backups',
  diff: 'physical backups',
  logical: 'logical backups',
  snapshot: 'snapshots',
  logs: 'archived logs',
};

/** What nothing ever removes grows for ever: one finding for each kind, over all databases. */
export function growthOf(store: Store) {
  const growing = new Map<string, string[]>();
  return {
    look({ database, planned }: Outlook): void {
      for (const kind of madeKinds(database.policy)) {
        const isOfTool = kind === 'full' || (kind === 'logs' && database.policy.shippedLockMs === undefined);
        if (!planned[kind].some((object) => isKept(object, isOfTool, store))) continue;
        const what = kind === 'logs' && !isOfTool ? 'shipped logs' : KINDS[kind];
        growing.set(what, [...(growing.get(what) ?? []), database.name]);
      }
    },
    tell(): AuditFinding[] {
      return [...growing].map(([what, names]) => {
        const [first = ''] = names;
        const whose = names.length === 1 ? first : plural(names.length, 'database');
        return finding('info', 'never-expires', {
          database: names.length === 1 ? first : null,
          what: `no rule ever removes ${what} of ${whose} for good: they grow for ever, and are paid for`,
          hint: 'holdfast repository plan shows the rules that are missing; apply adds them',
        });
      });
    },
  };
}

/** The tool itself removes what it expires, or lays a marker on it; what lies below, a rule has to remove. */
function isKept({ version, reader, rules }: PlannedObject, isOfTool: boolean, store: Store): boolean {
  if (isOfTool && store.versioning === 'off') return false;
  const laid = isOfTool ? { noncurrentSince: store.now, under: 'marker' as const } : {};
  const fate = fateOf({ ...version, ...laid }, reader, { rules, hold: NO_HOLD, store });
  return fate.removed === Number.POSITIVE_INFINITY;
}

/** What no schedule makes does not grow. */
function madeKinds(policy: Outlook['database']['policy']): ('full' | 'logical' | 'snapshot' | 'logs')[] {
  return [
    ...(policy.fulls.length + policy.diffs.length > 0 ? (['full'] as const) : []),
    ...(policy.logicals.length > 0 ? (['logical'] as const) : []),
    ...(policy.snapshots ? (['snapshot'] as const) : []),
    ...(policy.windowMs === null ? [] : (['logs'] as const)),
  ];
}

/** What belongs to nothing: named, and never touched. */
export function tellOrphans({ orphans }: AuditFacts): AuditFinding[] {
  const groups = Map.groupBy(
    orphans.filter(({ versions }) => versions.length > 0),
    ({ database, why }) => JSON.stringify([database, why]),
  );
  return [...groups.values()].map((group) => {
    const [{ database, why }] = group as [AuditFacts['orphans'][number]];
    const versions = group.flatMap((one) => one.versions);
    const bytes = versions.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return finding('info', 'orphan', {
      database,
      what: `${plural(versions.length, 'object')} of ${formatBytes(bytes)} that nobody needs (${versions[0]?.key}): ${why}`,
      hint: 'nothing of Holdfast removes them: look whose they are before somebody does',
    });
  });
}

function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1_024 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}
