import { Command } from 'commander';
import { isWanted } from '../confirm.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { interruptible, reporter } from '../long-command.ts';
import { action, type CommandContext, openContext, withGlobalOptions } from '../options.ts';
import { terminalWidth } from '../output.ts';
import { formatRepaired, formatRepairPlan } from '../view/repair.ts';

interface Options {
  dryRun?: true;
  yes?: true;
}

export function repairCommand(): Command {
  const command = new Command('repair')
    .summary('put back what somebody deleted or overwrote')
    .description(
      'Look for delete markers and newer versions on top of what the catalogued backups need; show them, ask, remove the markers and put the good versions back on top. What expired regularly is left alone, and nothing but markers is removed. Doing it again does nothing.',
    )
    .argument('[database]', 'a database of the configuration (default: all)')
    .option('--dry-run', 'only show what would be done; exit code 3 where there is something')
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      `
Uses repository.adminCredentials: removing a marker is deleting a version, which the credentials of backups may not.
Exit code 1 where something that is needed is gone, or could not be repaired.

Examples:
  holdfast repository repair --dry-run
  holdfast repository repair shop --yes`,
    );
  return withGlobalOptions(command).action(
    action(async (name: string | undefined, options: Options, self: Command) => {
      const context = await openContext(self);
      return interruptible((signal) => repair(context, name, options, signal));
    }),
  );
}

async function repair(
  { config, output, print }: CommandContext,
  name: string | undefined,
  options: Options,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { asAdmin } = await import('../repository-plan.ts');
  const { planRepairOf, repair: mend } = await import('../repository-repair.ts');
  const run = { signal, progress: output === 'text' ? reporter() : () => {} };
  return asAdmin(config, async (repository) => {
    const plan = await planRepairOf(repository, config, name, run);
    const isLost = plan.lost.length > 0;
    const nothing = plan.mends.length === 0;
    if (nothing || options.dryRun === true) {
      print(plan, formatRepairPlan(plan, terminalWidth()));
      if (isLost) return EXIT.failed;
      return nothing ? EXIT.done : EXIT.waiting;
    }
    if (output === 'text') process.stdout.write(`${formatRepairPlan(plan, terminalWidth())}\n\n`);
    if (options.yes !== true && !(await isWanted('repair these keys?', FIRST_LOOK))) {
      process.stdout.write('nothing was changed\n');
      return EXIT.declined;
    }
    const answer = await mend(repository, plan, run);
    print(answer, answer.repaired === null ? '' : formatRepaired(answer.repaired, terminalWidth()));
    return isLost || (answer.repaired?.failed.length ?? 0) > 0 ? EXIT.failed : EXIT.done;
  });
}

const FIRST_LOOK =
  'look at it with holdfast repository repair --dry-run, then say holdfast repository repair --yes';
