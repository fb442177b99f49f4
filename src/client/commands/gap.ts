import { Command } from 'commander';
import { describeDatabase } from '../../config/describe.ts';
import type { LogGap } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import { gapName } from '../../model/gap.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { acknowledgeGaps, chooseGaps, readGaps } from '../gaps.ts';
import { action, openContext, withGlobalOptions } from '../options.ts';
import { terminalWidth } from '../output.ts';
import { operatingSystemUser } from '../person.ts';
import { formatGaps } from '../view/gaps.ts';

export function gapCommand(): Command {
  return new Command('gap')
    .description('logs that are missing between archived ones: no moment in between can be recovered')
    .addCommand(listCommand())
    .addCommand(acknowledgeCommand());
}

function listCommand(): Command {
  const command = new Command('list')
    .description('every gap that the repository has, read from it now')
    .argument('[database]', 'a database of the configuration (default: all)')
    .addHelpText(
      'after',
      `
It exits with 1 where there is a gap that nobody has acknowledged.

Examples:
  holdfast gap list
  holdfast gap list shop --output json`,
    );
  return withGlobalOptions(command).action(
    action(async (name: string | undefined, _options: unknown, self: Command) => {
      const { config, print } = await openContext(self, 'now');
      const names = name === undefined ? Object.keys(config.config.databases) : [name];
      const databases = names.map((one) => describeDatabase(config.config, one));
      const found = await readGaps(config, databases);
      print(found, formatGaps(found, terminalWidth()));
      return found.some(({ gaps }) => gaps.some(isUnknown)) ? EXIT.failed : EXIT.done;
    }),
  );
}

interface Options {
  gap?: string;
  reason: string;
  by?: string;
}

function acknowledgeCommand(): Command {
  const command = new Command('acknowledge')
    .description(
      'take note of a gap: it is no problem any more for the watchdog, the report and status --all. The catalog goes on showing it.',
    )
    .argument('<database>', 'a database of the configuration')
    .option('--gap <first>..<last>', 'which one (default: every one that nobody has acknowledged)')
    .requiredOption('--reason <text>', 'why it is there, and what was done; kept in the repository')
    .option('--by <name>', 'who takes note of it (default: the user of the operating system)')
    .addHelpText(
      'after',
      `
It needs the credentials of backups: a word is written to acknowledgement/<database>/ of the repository.

Examples:
  holdfast gap acknowledge shop --reason 'INC-42: removed by hand; the new full is verified'
  holdfast gap acknowledge shop --gap 00000001000000000000002A..00000001000000000000002B --reason 'INC-42'`,
    );
  return withGlobalOptions(command).action(
    action(async (name: string, options: Options, self: Command): Promise<ExitCode> => {
      const { config, print } = await openContext(self, 'now');
      const by = options.by ?? operatingSystemUser();
      for (const [flag, value] of Object.entries({ reason: options.reason, by })) {
        if (value.trim() !== '') continue;
        throw new HoldfastError('InvalidInput', `--${flag} is empty`, { hint: 'people read it later' });
      }
      const [found] = await readGaps(config, [describeDatabase(config.config, name)]);
      const chosen = chooseGaps(name, found?.gaps ?? [], options.gap);
      const acknowledged = { by, at: new Date().toISOString(), reason: options.reason };
      await acknowledgeGaps(config, name, chosen, acknowledged);
      const answer = { database: name, gaps: chosen.map((gap) => ({ ...gap, acknowledged })) };
      print(answer, chosen.map((gap) => `acknowledged ${gapName(gap)} of ${name}`).join('\n'));
      return EXIT.done;
    }),
  );
}

const isUnknown = ({ acknowledged }: LogGap) => acknowledged === undefined;
