import { HoldfastError } from '../../../model/failure.ts';
import type { UndoRule } from '../../../model/plan.ts';
import type { CreatedTable } from './created-table.ts';
import type { Judged, Judgement } from './judge.ts';

const denied = (message: string, right: string) =>
  new HoldfastError('PermissionDenied', message, { hint: `grant ${right}` });
const impossible = (message: string) =>
  new HoldfastError('NotSupported', message, {
    hint: 'nothing was changed; where that can be mended, mend it and start the undo again',
  });

/** Throws where there is no rule by which all of the import can be taken back: nobody needs to wait for such a plan. */
export function requireSomeRule(judgements: readonly Judgement[]): void {
  const refusals = judgements.map(refusalsOf);
  const [own] = refusals;
  if (own === undefined || refusals.some((those) => those.length === 0)) return;
  // What a grant does not mend cannot wait for one.
  const worst = own.find(({ type }) => type !== 'PermissionDenied') ?? own[0];
  const all = (texts: (string | undefined)[]) => [...new Set(texts)].join('; ');
  throw new HoldfastError(worst?.type ?? 'NotSupported', all(own.map(({ message }) => message)), {
    hint: all(own.filter(({ type }) => type === worst?.type).map(({ hint }) => hint)),
  });
}

function refusalsOf({ rule, tables, created }: Judgement): HoldfastError[] {
  return [
    ...tables.flatMap((judged) => refusalOf(judged, rule) ?? []),
    ...created.flatMap(({ table, drop }) => dropRefusalOf(table, drop) ?? []),
  ];
}

/** Why a table that the import made cannot be dropped; null: it can, or is not to be. */
export function dropRefusalOf({ data, relation }: CreatedTable, drop: boolean): HoldfastError | null {
  if (!drop || relation?.rights.owner !== false) return null;
  return denied(`only the owner may drop ${data.created}`, 'the configured user membership in its owner');
}

/** Why a rule cannot be chosen for a table; null: it can. */
export function refusalOf({ table, counts, isUnplaced }: Judged, rule: UndoRule): HoldfastError | null {
  const { rights, rewrites, enabledTriggers, columns } = table.relation;
  const name = table.data.table;
  const needed = {
    insert: counts.inserts + counts.replaces > 0,
    update: counts.updates > 0,
    delete: counts.deletes + counts.replaces > 0,
  };
  const commands = (['insert', 'update', 'delete'] as const).filter((command) => needed[command]);
  if (commands.length === 0) return null;
  if (table.surplus > 0) {
    return impossible(
      `${name} has no key, and ${table.surplus.toLocaleString('en-US')} more rows look like the import's than it inserted: they cannot be told apart`,
    );
  }
  if (table.unknown > 0 && rule === 'overwrite-changed') {
    return impossible(
      `${name} has no key: of the rows that the import inserted, ${table.unknown.toLocaleString('en-US')} that others have changed or deleted since cannot be told from others`,
    );
  }
  if (isUnplaced) return impossible(`${name} has no partition any more for some rows that would come back`);
  const rewritten = commands.find((command) => rewrites[command]);
  if (rewritten !== undefined) return impossible(`${name} has a rule that rewrites ${rewritten}s`);
  const unfillable = columns.find(
    ({ name: column, notNull, generated, hasDefault }) =>
      notNull && !generated && !hasDefault && !table.data.columns.includes(column),
  );
  if (needed.insert && unfillable !== undefined) {
    return impossible(
      `column ${unfillable.name} of ${name} is new since, NOT NULL and without a default: a deleted row has no value for it`,
    );
  }
  const lacking = commands.filter((command) => !rights[command]);
  if (lacking.length > 0 || !rights.lock) {
    return denied(
      `the configured user may not ${lacking.length > 0 ? lacking.join(', ') : 'lock'} in ${name}`,
      `${(lacking.length > 0 ? lacking : ['update']).join(', ').toUpperCase()} on ${name}`,
    );
  }
  return enabledTriggers > 0 && !rights.triggers
    ? denied(
        `the configured user may not disable the triggers of ${name}: only its owner may`,
        'the configured user membership in its owner',
      )
    : null;
}
