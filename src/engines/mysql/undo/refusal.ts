import { HoldfastError } from '../../../model/failure.ts';
import type { UndoRule } from '../../../model/plan.ts';
import type { Judged, Judgement } from './judge.ts';

const impossible = (message: string) =>
  new HoldfastError('NotSupported', message, {
    hint: 'nothing was changed; where that can be mended, mend it and start the undo again',
  });

/** Throws where there is no rule by which all of the import can be taken back: nobody needs to wait for such a plan. */
export function requireSomeRule(judgements: readonly Judgement[]): void {
  const refusals = judgements.map(({ rule, tables }) =>
    tables.flatMap((judged) => refusalOf(judged, rule) ?? []),
  );
  const [own] = refusals;
  if (own === undefined || refusals.some((those) => those.length === 0)) return;
  // What a grant does not mend cannot wait for one.
  throw own.find(({ type }) => type !== 'PermissionDenied') ?? own[0];
}

/** Why a rule cannot be chosen for a table; null: it can. */
export function refusalOf({ table, counts }: Judged, rule: UndoRule): HoldfastError | null {
  const { production, refusals } = table.compared.pair;
  const name = table.data.table;
  const events = [
    ...(counts.inserts > 0 ? ['INSERT'] : []),
    ...(counts.updates > 0 ? ['UPDATE'] : []),
    ...(counts.deletes > 0 ? ['DELETE'] : []),
  ];
  if (events.length === 0) return null;
  if (table.unknown > 0 && rule === 'overwrite-changed') {
    return impossible(
      `${name} has no key: of the rows that the import inserted, ${table.unknown.toLocaleString('en-US')} that others have changed or deleted since cannot be told from others`,
    );
  }
  const firing = production.triggers
    .filter(({ event }) => events.includes(event))
    .map((trigger) => trigger.name);
  if (firing.length > 0) {
    return impossible(
      `triggers of ${name} would fire, which MySQL and MariaDB cannot switch off for one session: ${firing.join(', ')}`,
    );
  }
  const unfillable = production.columns.find(
    ({ name: column, generated, hasDefault }) =>
      generated === null && !hasDefault && !table.data.columns.includes(column),
  );
  if (counts.inserts > 0 && unfillable !== undefined) {
    return impossible(
      `column ${unfillable.name} of ${name} is new since, NOT NULL and without a default: a deleted row has no value for it`,
    );
  }
  // What cannot be seen: triggers, and foreign keys to rows that go or change.
  return (counts.updates + counts.deletes > 0 ? refusals.replace : refusals['insert-missing']) ?? null;
}
