import { CONTROL_QUEUE } from '../../model/queue.ts';
import { wordsOf } from './engine-words.ts';
import type { RunbookFacts } from './facts.ts';
import {
  cleanUp,
  decide,
  look,
  REASON,
  STEPS_FROM_COMPARE,
  type Step,
  stepsTable,
  undo,
  workersNeeded,
} from './from-the-plan-on.ts';
import { holdfast, shell, temporal, type Variable, variable } from './markdown.ts';
import { about, breakGlass, head, ID, measuredTimes, steering, whoDecides } from './sections.ts';

const TABLE = variable('TABLE');
const SINCE = variable('SINCE');
const MOMENT = variable('MOMENT');

/** Point-in-time recovery: rows, or the whole database to look at, as of a moment. */
export function pointInTimeDocument(facts: RunbookFacts): string {
  return [
    head(
      facts,
      'point-in-time recovery',
      'For rows that were deleted or changed by mistake, a table that was truncated or dropped, or a look at the data of an earlier moment. The recovery works on a restored server of its own. Production is only read until a person has approved exactly what will change.',
    ),
    about(facts),
    whoDecides(facts),
    measuredTimes(facts, 'pointInTimeRecovery'),
    findMoment(facts),
    start(facts),
    whatHappens(facts),
    decide(facts, 4),
    retarget(facts),
    look(facts, 6),
    undo(facts, 7),
    steering(facts),
    cleanUp(),
    breakGlass(facts),
  ]
    .join('\n\n')
    .concat('\n');
}

function findMoment(facts: RunbookFacts): string {
  const { name } = facts.database;
  const { table, findNeeds, targetIs } = wordsOf(facts.database);
  const hourAgo = new Date(facts.writtenAt.getTime() - 3_600_000).toISOString();
  return `## 1. Find the moment

Stop what does the damage first, where that is possible. Then set these for the accident at hand; every command below uses them:

${shell(
  `TABLE=${table.example.padEnd(31)}# the table, as ${table.form}`,
  `SINCE=${hourAgo.slice(0, 19)}Z           # it was still right then; ISO 8601 with an offset`,
  `REASON='INC-42: what happened'       # kept in the evidence`,
)}

\`find\` lists the transactions that deleted from, updated, truncated or dropped the table, from the logs in the repository, with the target just before each, and the command that goes back to just before the likeliest. ${findNeeds} \`catalog\` shows which moments can be recovered at all.

${shell(holdfast(facts, 'find', name, '--table', TABLE, '--since', SINCE), holdfast(facts, 'catalog', name))}

Such a target, ${targetIs}, is exact: the recovery stops just before that transaction. A time is what to use where only a person's memory is there; look at the restored server (4 and 6) before you approve.`;
}

function start(facts: RunbookFacts): string {
  const { name } = facts.database;
  const { table, target } = wordsOf(facts.database);
  const input = {
    database: name,
    target: target.input,
    tables: [table.form.toUpperCase()],
    reason: 'INC-42: what happened',
    requestedBy: 'YOUR NAME',
  };
  const restore = (...rest: (string | Variable)[]) => holdfast(facts, 'restore', 'pitr', name, ...rest);
  const sites = facts.sites.map((site) => site.name);
  return `## 2. Start

One of these; each prints the run's id, which goes into \`ID\`. \`--table\` may be repeated: name tables that refer to each other together. Without \`--table\` nothing is imported, and the restored server is handed over for as long as \`--keep-instance\` says.${sites.length > 1 ? ` \`--site\` chooses among ${sites.join(', ')}; default ${sites[0]}.` : ''}

${shell(
  `${`${target.variable}=${target.example}`.padEnd(36)} # from find`,
  `MOMENT=${facts.writtenAt.toISOString().slice(0, 19)}Z          # or a moment`,
  restore(target.option, variable(target.variable), '--exclusive', '--table', TABLE, '--reason', REASON),
  restore('--time', MOMENT, '--table', TABLE, '--reason', REASON),
  restore('--time', MOMENT, '--keep-instance', '4h', '--reason', REASON),
  `ID=pitr/${name}/20260131T140500Z     # as it was printed`,
  holdfast(facts, 'status', ID, '--watch'),
)}

To a file instead of into production: \`--export csv:repository\`, \`dump:repository\`, or a path on the site's host. With \`--conflict\` a CSV has only the rows that this rule would bring back, else whole tables.

${shell(restore('--time', MOMENT, '--table', TABLE, '--export', 'csv:repository', '--reason', REASON))}

The same by Temporal's own program, where this one is not at hand:

${shell(
  temporal(
    facts,
    ...['workflow', 'start', '--task-queue', CONTROL_QUEUE, '--type', 'pointInTimeRecovery'],
    ...['--workflow-id', ID, '--input', JSON.stringify(input)],
  ),
)}`;
}

function stepsOf(facts: RunbookFacts): Step[] {
  const { steps } = wordsOf(facts.database);
  return [
    [
      'choose base',
      'the newest backup before the target, and the proof that every log from there on is present. What of them lies in an archive class of S3 is thawed next, in a step `thaw`: hours',
    ],
    ['provision', "a directory on one of the site's hosts; refused where the disk is too small"],
    ['restore', steps.restore],
    ['replay', steps.replay],
    ['check', steps.check],
    ...STEPS_FROM_COMPARE,
  ];
}

function whatHappens(facts: RunbookFacts): string {
  return `## 3. What happens

${stepsTable(facts, 'pointInTimeRecovery', stepsOf(facts))}

${workersNeeded(facts, 'a recovery without an import')}`;
}

function retarget(facts: RunbookFacts): string {
  return `## 5. The wrong moment: retarget

While it waits for the decision the target can be moved. Forward it replays on from where it is; back it restores again. The plan is new then, and approvals of the old one are void. Where the new target cannot be reached, that is said and the old plan stands; where only the replay finds that out, it goes back to the old target and asks anew.

${shell(
  holdfast(facts, 'retarget', ID, '--time', MOMENT),
  temporal(
    facts,
    ...['workflow', 'update', 'execute', '--workflow-id', ID, '--name', 'retarget'],
    ...['--input', JSON.stringify({ target: { time: '2026-01-31T14:05:00Z' } })],
  ),
)}`;
}
