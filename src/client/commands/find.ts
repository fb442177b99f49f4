import { Command } from 'commander';
import { describeDatabase } from '../../config/describe.ts';
import type { Candidate } from '../../engines/contract/read.ts';
import { HoldfastError } from '../../model/failure.ts';
import { EXIT } from '../exit.ts';
import { findAccident, readMoment } from '../find.ts';
import { interruptible, reporter } from '../long-command.ts';
import { action, openContext, withGlobalOptions } from '../options.ts';
import { terminalWidth } from '../output.ts';
import { againOptions } from '../session.ts';
import { formatFind, restoreCommandOf } from '../view/find.ts';

interface Options {
  table: string;
  since: string;
  until?: string;
  limit: number;
  minRows: number;
}

export function findCommand(): Command {
  const command = new Command('find')
    .description(
      'which transactions took rows from a table: read from the logs in the repository, with the command that goes back to just before',
    )
    .argument('<database>', 'a database of the configuration')
    .requiredOption('--table <name>', 'as schema.table, of MySQL as db.table; it may have been dropped since')
    .requiredOption('--since <time>', 'ISO 8601 with an offset, or how long ago, such as 2h')
    .option('--until <time>', 'the same (default: now)')
    .option('--limit <count>', 'how many transactions are shown: those with the most rows', count, 20)
    .option('--min-rows <count>', 'leave out transactions that deleted and updated fewer rows', count, 1)
    .addHelpText(
      'after',
      `
It reads the logs of that time from the repository; production is only asked for the table's name and place, and may be
gone. Of PostgreSQL the logs are fetched a few at a time (16 MiB each), and pgbackrest and the pg_waldump of the server's
major version have to be on this machine. Of MySQL and MariaDB nothing is needed here.

Examples:
  holdfast find shop --table public.orders --since 2h
  holdfast find shop --table public.orders --since 2026-01-31T13:00:00Z --until 2026-01-31T14:00:00Z --min-rows 100
  holdfast find store --table shop.orders --since 2h`,
    );
  return withGlobalOptions(command).action(
    action(async (name: string, options: Options, self: Command) => {
      const { config, print } = await openContext(self, 'now');
      const database = describeDatabase(config.config, name);
      const now = new Date();
      const since = readMoment('--since', options.since, now);
      const until = options.until === undefined ? now : readMoment('--until', options.until, now);
      if (since.getTime() >= until.getTime()) {
        throw new HoldfastError('InvalidInput', '--since is not before --until', {
          hint: 'a duration such as 2h means that long ago, in both',
        });
      }
      const { table, limit, minRows } = options;
      const query = { table, since, until, limit, minRows };
      const result = await interruptible((signal) =>
        findAccident(config, database, query, { signal, progress: reporter() }),
      );
      const again = againOptions(self);
      const { likeliest } = result;
      const commandOf = (candidate: Candidate) => restoreCommandOf(result, candidate, again);
      const machine = {
        ...result,
        candidates: result.candidates.map((one) => ({ ...one, command: commandOf(one) })),
        command: likeliest === null ? null : commandOf(likeliest),
      };
      print(machine, formatFind(result, again, terminalWidth()));
      return EXIT.done;
    }),
  );
}

function count(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new HoldfastError('InvalidInput', `${text} is not a number of at least 1`);
}
