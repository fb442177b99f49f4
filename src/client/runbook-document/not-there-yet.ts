import type { RunbookFacts } from './facts.ts';
import { holdfast, shell, variable } from './markdown.ts';
import { about, breakGlass, head, measuredTimes, whoDecides } from './sections.ts';

const REASON = variable('REASON');

/** Full disaster recovery: this version has no runbook for it, and the document says what does the same. */
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
