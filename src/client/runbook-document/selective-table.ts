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
const BACKUP = variable('BACKUP');

/** Selective table restore: single tables as of a logical backup. */
export function selectiveTableDocument(facts: RunbookFacts): string {
  return [
    head(
      facts,
      'selective table restore',
      'For single tables as they were when a logical backup was taken: rows that were deleted or changed since, or a table that was dropped. Only these tables are restored, so that it takes a fraction of the time and the disk of a whole server. Production is only read until a person has approved exactly what will change.',
    ),
    `**Rows come back as of the backup**: what was written between the backup and the accident is not in it. To any moment in between, and for tables that no logical backup has, there is the document *point-in-time recovery*.`,
    about(facts),
    whoDecides(facts),
    measuredTimes(facts, 'selectiveTableRestore'),
    start(facts),
    whatHappens(facts),
    decide(facts, 3),
    look(facts, 4),
    undo(facts, 5),
    steering(facts),
    cleanUp(),
    breakGlass(facts),
  ]
    .join('\n\n')
    .concat('\n');
}

function start(facts: RunbookFacts): string {
  const { name } = facts.database;
  const { table } = wordsOf(facts.database);
  const input = {
    ...{ database: name, tables: [table.form.toUpperCase()] },
    ...{ reason: 'INC-42: what happened', requestedBy: 'YOUR NAME' },
  };
  const restore = (...rest: (string | Variable)[]) =>
    holdfast(facts, 'restore', 'table', name, '--table', TABLE, ...rest, '--reason', REASON);
  const sites = facts.sites.map((site) => site.name);
  return `## 1. Start

Stop what does the damage first, where that is possible. Then set these; every command below uses them. \`catalog\` lists the backups: without \`--backup\` the newest logical one is taken, which is the wrong one where it was taken after the accident.

${shell(
  `TABLE=${table.example.padEnd(31)}# the table, as ${table.form}`,
  `REASON='INC-42: what happened'       # kept in the evidence`,
  holdfast(facts, 'catalog', name),
  `BACKUP=20260131T020000Z              # the newest before the accident`,
)}

One of these; each prints the run's id, which goes into \`ID\`. \`--table\` may be repeated: name tables that refer to each other together.${sites.length > 1 ? ` \`--site\` chooses among ${sites.join(', ')}; default ${sites[0]}.` : ''}

${shell(
  restore(),
  restore('--backup', BACKUP),
  `ID=table/${name}/20260131T140500Z    # as it was printed`,
  holdfast(facts, 'status', ID, '--watch'),
)}

To a file instead of into production: \`--export csv:repository\`, \`dump:repository\`, or a path on the site's host. Production need not be there for that. With \`--conflict\` a CSV has only the rows that this rule would bring back.

${shell(restore('--backup', BACKUP, '--export', 'dump:repository'))}

The same by Temporal's own program, where this one is not at hand; \`"backup"\` names another one than the newest:

${shell(
  temporal(
    facts,
    ...['workflow', 'start', '--task-queue', CONTROL_QUEUE, '--type', 'selectiveTableRestore'],
    ...['--workflow-id', ID, '--input', JSON.stringify(input)],
  ),
)}`;
}

function stepsOf(facts: RunbookFacts): Step[] {
  const { steps } = wordsOf(facts.database);
  return [
    [
      'choose backup',
      'the newest logical backup, or the one that was named; the tables as production, or a backup, has them',
    ],
    ['provision', "a directory on one of the site's hosts; refused where the disk is too small"],
    ['restore', steps.restoreTables],
    [
      'check',
      "row counts and checksums are those of the dump's own snapshot; the schema beside production's",
    ],
    ...STEPS_FROM_COMPARE,
  ];
}

function whatHappens(facts: RunbookFacts): string {
  const { siteNeeds, recreated } = wordsOf(facts.database);
  return `## 2. What happens

${stepsTable(facts, 'selectiveTableRestore', stepsOf(facts))}

The site needs ${siteNeeds}. A table that was dropped is made again with ${recreated}. ${workersNeeded(facts, 'a whole-table export')}`;
}
