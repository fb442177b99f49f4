import { Command } from 'commander';
import { findDatabase } from '../../config/describe.ts';
import { takeoverOf } from '../../config/takeover.ts';
import { parseInput, type WorkflowInput } from '../../model/input.ts';
import { action, withGlobalOptions } from '../options.ts';
import { operatingSystemUser } from '../person.ts';
import { siteOf } from '../preflight.ts';
import { checkTarget } from '../recoverable.ts';
import { type Session, withSession } from '../session.ts';
import { startRestore } from '../start-restore.ts';
import { isTargeted, readTarget, TARGET_OPTIONS, type TargetOptions } from '../target-options.ts';

interface Options extends TargetOptions {
  site: string;
  switch: boolean;
  reason: string;
  requestedBy?: string;
  wait?: true;
}

export function restoreFullCommand(): Command {
  const command = new Command('full')
    .summary('the site is lost: recover the whole database at another one, and switch clients to it')
    .description(
      'Recover a whole database at another site, where it becomes production. Shows what is lost and asks before anything is done; makes sure that the old server cannot be written to; restores, replays to the end of the logs, takes over on a new timeline, archives and backs up there; asks again before clients are switched, and switches back where they do not reach it.',
    )
    .argument('<database>', 'a database of the configuration')
    .requiredOption('--site <site>', 'where it is to live: databases.<database>.takeover names it');
  for (const option of TARGET_OPTIONS) command.addOption(option);
  command
    .option('--no-switch', 'leave the endpoints alone: clients are pointed at the new server by hand')
    .requiredOption('--reason <text>', 'why; kept in the evidence')
    .option('--requested-by <name>', 'who asks for it (default: the user of the operating system)')
    .option('--wait', 'follow it until it has ended or waits for a decision (exit code 3)')
    .addHelpText(
      'after',
      `
Without a target it is --latest: as far as the logs in the repository go, or to before the first that is missing.
Before the day: holdfast doctor --site <site>, on a host of that site.

Examples:
  holdfast restore full shop --site second --reason 'INC-42: the region is gone' --wait
  holdfast restore full shop --site second --time 2026-01-31T14:05:00Z --no-switch --reason 'INC-42'`,
    );
  return withGlobalOptions(command).action(
    action((database: string, options: Options, self: Command) => {
      const input = inputOf(database, options);
      const recover = (session: Session) => {
        const { config } = session.config;
        findDatabase(config, database);
        takeoverOf(config, database, siteOf(config, input.site));
        return startRestore(
          session,
          { type: 'fullDisasterRecovery', input, wait: options.wait === true },
          async (view) => [
            await checkTarget(session.config, view, input.target ?? { latest: true }, 'leave'),
          ],
        );
      };
      return withSession(self, recover, 'if known');
    }),
  );
}

function inputOf(database: string, options: Options): WorkflowInput<'fullDisasterRecovery'> {
  const { site, reason, requestedBy } = options;
  return parseInput('fullDisasterRecovery', {
    ...{ database, site, reason, requestedBy: requestedBy ?? operatingSystemUser() },
    ...(isTargeted(options) ? { target: readTarget(options) } : {}),
    ...(options.switch ? {} : { switchEndpoints: false }),
  });
}
