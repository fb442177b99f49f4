import { Command, InvalidArgumentError } from 'commander';
import { EXIT } from '../exit.ts';
import { action, withGlobalOptions } from '../options.ts';
import { listRuns } from '../runs.ts';
import { withSession } from '../session.ts';
import { formatRuns } from '../view/runs.ts';

export function listCommand(): Command {
  const command = new Command('list')
    .description('runbooks and backups that ran or run, newest first')
    .option('--database <name>', 'only those of this database')
    .option('--running', 'only those that have not ended')
    .option('--limit <number>', 'at most this many', parseLimit, 20)
    .addHelpText('after', '\nExample:\n  holdfast list --database shop --running');
  return withGlobalOptions(command).action(
    action((options: { database?: string; running?: true; limit: number }, self: Command) =>
      withSession(self, async (session) => {
        const runs = await listRuns(session.client, options);
        session.print(runs, runs.length === 0 ? 'no runs' : formatRuns(runs, new Date()));
        return EXIT.done;
      }),
    ),
  );
}

function parseLimit(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('must be a number from 1 to 99999.');
  return Number(text);
}
