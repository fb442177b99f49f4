import type { RunbookFacts } from './facts.ts';
import { holdfast, shell, variable } from './markdown.ts';
import { about, breakGlass, head, measuredTimes, whoDecides } from './sections.ts';

const TABLE = variable('TABLE');
const MOMENT = variable('MOMENT');
const REASON = variable('REASON');

/** Selective table restore: this version has no runbook for it, and the document says what does the same. */
export function selectiveTableDocument(facts: RunbookFacts): string {
  const { name } = facts.database;
  return `${[
    head(
      facts,
      'selective table restore',
      'For single tables out of a logical backup, where a full server need not be restored.',
    ),
    `## Not there yet

**The runbook \`selectiveTableRestore\` is not in this version.** Two ways lead to the same today:

1. Point-in-time recovery with \`--table\` brings rows of single tables back, from the physical backups and the logs, to any moment, with a plan and an approval. It restores the whole server on the side, so that it takes the time and the disk of one. It is in the document *point-in-time recovery*; in short:

${shell(
  'TABLE=public.orders',
  `MOMENT=${facts.writtenAt.toISOString().slice(0, 19)}Z`,
  "REASON='INC-42: what happened'",
  holdfast(facts, 'restore', 'pitr', name, '--time', MOMENT, '--table', TABLE, '--reason', REASON),
)}

2. By hand from a logical backup, by its \`RESTORE.md\` (below), into a server that is not production. \`pg_restore --list\` shows what the dump holds; \`pg_restore --table\` takes single tables out of it.`,
    about(facts),
    whoDecides(facts),
    measuredTimes(facts, 'selectiveTableRestore'),
    breakGlass(facts),
  ].join('\n\n')}\n`;
}

/** Full disaster recovery: as above. */
export function fullRecoveryDocument(facts: RunbookFacts): string {
  const { name, config } = facts.database;
  return `${[
    head(
      facts,
      'full disaster recovery',
      `For the loss of ${config.host} or its region: the whole database on another server, and the switch to it.`,
    ),
    `## Not there yet

**The runbook \`fullDisasterRecovery\` is not in this version**: no workflow makes a restored server the new production server, and none switches clients to it. What works instead:

1. See what can be recovered, and what would be lost:

${shell(holdfast(facts, 'catalog', name))}

2. Have the newest state proved and at hand within minutes on a site, read-only, to look at and to export from. This needs workers and Temporal, not the lost host:

${shell(
  "REASON='INC-42: what happened'",
  holdfast(facts, 'restore', 'pitr', name, '--latest', '--keep-instance', '24h', '--reason', REASON),
)}

3. Bring up the new server by hand from a physical backup, by its \`RESTORE.md\` (below): it restores the files, replays the logs as far as they go and ends with a server that can be written to. Point the clients at it, change \`databases.${name}.connection\`, \`host\` and \`region\` in the configuration, and take a full backup at once:

${shell(
  holdfast(facts, 'config', 'check'),
  holdfast(facts, 'schedules', 'apply'),
  holdfast(facts, 'backup', name, '--tier', 'physical', '--kind', 'full', '--wait'),
)}

**Make sure that the old server cannot come back and be written to** before clients reach the new one.`,
    about(facts),
    whoDecides(facts),
    measuredTimes(facts, 'fullDisasterRecovery'),
    breakGlass(facts),
  ].join('\n\n')}\n`;
}
