import { CONTROL_QUEUE, hostQueue, siteQueue } from '../../model/queue.ts';
import type { RunbookFacts } from './facts.ts';
import { holdfast, shell, tableOf, temporal, variable } from './markdown.ts';
import { ID, stepTime } from './sections.ts';

/** What every recovery that ends in an import has from its plan on; `part` is the number of the part in the document. */

export const REASON = variable('REASON');
const PLAN = variable('PLAN');
const UNDO = variable('UNDO');

const RULES: [string, string, string][] = [
  [
    'insert-missing',
    'rows that are gone come back; nothing that is there is touched',
    'the default: rows were deleted',
  ],
  [
    'restore-changed',
    'as before, and changed rows get their earlier values',
    'a wrong UPDATE; later right changes of the same rows are lost',
  ],
  [
    'replace',
    'as before, and rows that were added since are deleted: the table is as it was',
    'all that came after the moment is wrong',
  ],
  [
    'side-by-side',
    'the earlier table lands beside the present one, as `<table>_restored_…`',
    'to look and merge by hand',
  ],
];

export function decide(facts: RunbookFacts, part: number): string {
  const sentence = { by: 'YOUR NAME', action: 'approve', plan: 'DIGEST' };
  return `## ${part}. Choose a rule and approve

The plan shows what each rule would insert, update and delete, what it leaves alone (orphans: rows whose parent is missing, or to which others refer; clashes: rows whose unique value another row holds), and whether it is possible for these tables.

${tableOf(['rule', 'what it does', 'when'], RULES)}

An approval is for exactly one plan, named by its digest: a plan that has changed since is not approved by it. \`--conflict\` chooses a rule of the plan. \`--drift\` is how many rows beyond the plan may be touched, because production went on; left out, none. Beyond it nothing is done and a new plan is shown.

${shell(
  holdfast(facts, 'status', ID),
  'PLAN=0123456789ab                    # the digest that status shows',
  holdfast(facts, 'approve', ID, '--plan', PLAN),
  holdfast(facts, 'approve', ID, '--plan', PLAN, '--conflict', 'restore-changed', '--drift', '100'),
  holdfast(facts, 'reject', ID, '--plan', PLAN, '--comment', 'the wrong moment'),
)}

By Temporal's own program:

${shell(
  temporal(
    facts,
    ...['workflow', 'update', 'execute', '--workflow-id', ID, '--name', 'decide'],
    ...['--input', JSON.stringify(sentence)],
  ),
)}`;
}

export function look(facts: RunbookFacts, part: number): string {
  const { name } = facts.database;
  return `## ${part}. Look at both sides

The restored server is read-only and listens on a private socket of its host: run this there, as root or as the site's user. The second opens production.

${shell(holdfast(facts, 'connect', ID), holdfast(facts, 'connect', name))}`;
}

export function undo(facts: RunbookFacts, part: number): string {
  const { name } = facts.database;
  return `## ${part}. Take an import back

\`undo\` plans, asks and takes back what an import did. Rows that others have changed since are listed and left alone (\`keep-changed\`), unless the decision says \`overwrite-changed\`. What it needs is kept until the time that the evidence of the import names.

${shell(
  holdfast(facts, 'undo', ID, '--reason', REASON),
  `UNDO=undo/${name}/20260131T150000Z   # as it was printed`,
  holdfast(facts, 'status', UNDO),
  holdfast(facts, 'approve', UNDO, '--plan', PLAN),
  holdfast(facts, 'approve', UNDO, '--plan', PLAN, '--conflict', 'overwrite-changed'),
)}`;
}

export function cleanUp(): string {
  return `## Clean up

Nothing is left to do: every ending of the run, a failure or a cancel too, removes the restored server, its files and its locks. \`resume\` ends a hand-over early. What the reaper finds without an owner it removes as well. Undo data is removed when it expires; files of an export stay until somebody removes them. A table made by \`side-by-side\` is yours: drop it when you have merged it.`;
}

/** A step, and what it does. */
export type Step = readonly [string, string];

/** What every restore of tables does from the comparison on. */
export const STEPS_FROM_COMPARE: readonly Step[] = [
  ['compare', 'every row of the tables with production: what each conflict rule would change, to the row'],
  ['decide', 'waits for a person'],
  [
    'import',
    'one transaction in production: the approved rows and no others; what it replaces is kept for undo',
  ],
  ['verify', 'looks whether every approved row is there'],
  ['remove instance', 'the restored server and its files are removed, whatever the outcome was'],
];

/** The steps of a runbook, with the times that they took. */
export function stepsTable(facts: RunbookFacts, runbook: string, steps: readonly Step[]): string {
  const rows = steps.map(([name, what]) => [
    ...[name, what],
    name.startsWith('decide') ? '' : stepTime(facts.measured, runbook, name),
  ]);
  return tableOf(['step', 'what it does', 'took'], rows);
}

/** `without`: what can be done while the database's own host is down. */
export function workersNeeded({ database, sites }: RunbookFacts, without: string): string {
  const queues = sites.map(({ name }) => `\`${siteQueue(name)}\``).join(' or ');
  return `Workers needed: on \`${CONTROL_QUEUE}\`, ${queues}, and the queue of the instance's host. The database's own host is \`${hostQueue(database.config.host)}\`; it need not be up for ${without}.`;
}
