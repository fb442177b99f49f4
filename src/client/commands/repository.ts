import { Command } from 'commander';
import { isWanted } from '../confirm.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { interruptible, reporter } from '../long-command.ts';
import { action, type CommandContext, openContext, withGlobalOptions } from '../options.ts';
import { terminalWidth } from '../output.ts';
import { formatApplied, formatBucketPlan, formatSettings } from '../view/repository.ts';
import { auditCommand } from './repository-audit.ts';
import { checkCommand } from './repository-check.ts';
import { repairCommand } from './repository-repair.ts';

interface PlanOptions {
  policies?: string;
  foresee?: true;
}

export function repositoryCommand(): Command {
  return new Command('repository')
    .summary("the bucket's protection: plan, apply, check, audit, repair")
    .description(
      'The bucket that holds the backups: versioning, Object Lock, encryption, public access, policy and lifecycle, as the configuration wants them. Uses repository.adminCredentials, where there are any.',
    )
    .addCommand(planCommand())
    .addCommand(applyCommand())
    .addCommand(checkCommand())
    .addCommand(auditCommand())
    .addCommand(repairCommand());
}

function planCommand(): Command {
  const command = new Command('plan')
    .summary('what would be changed in the bucket, and how long everything is kept')
    .description(
      'Compare the bucket with what the configuration wants, setting by setting. Changes nothing. Exit code 0 where there is nothing to do, 3 where there is.',
    )
    .option('--policies <folder>', 'write the policies of both roles there: writer.json and restore.json')
    .option(
      '--foresee',
      'play the year ahead with and without the change: what it would lose; lists every version',
    )
    .addHelpText(
      'after',
      `
Examples:
  holdfast repository plan --policies ./policies
  holdfast repository plan --foresee`,
    );
  return withGlobalOptions(command).action(
    action(async (options: PlanOptions, self: Command) => plan(await openContext(self, 'if known'), options)),
  );
}

async function plan({ config, output, print }: CommandContext, options: PlanOptions): Promise<ExitCode> {
  const { asAdmin, foreseePlan, planBucket, writePolicies } = await import('../repository-plan.ts');
  const { requireSupport } = await import('../../repository/bucket/apply.ts');
  const settings = await asAdmin(config, (repository) => planBucket(repository, config.config));
  const progress = output === 'text' ? reporter() : () => {};
  const foreseen =
    options.foresee === true
      ? await interruptible((signal) => foreseePlan(config, { signal, progress }))
      : null;
  const found = { ...settings, foreseen };
  const written = options.policies === undefined ? [] : await writePolicies(options.policies, found.policies);
  const text = [formatBucketPlan(found, terminalWidth()), ...written.map((path) => `written: ${path}`)];
  print(found, text.join('\n'));
  requireSupport(found, found.bucket);
  return found.changes.length === 0 ? EXIT.done : EXIT.waiting;
}

function applyCommand(): Command {
  const command = new Command('apply')
    .summary('make the bucket as the configuration wants it')
    .description(
      'Show the plan, ask, change the settings of the bucket, and read them back. Rules and statements that are not of Holdfast stay. Doing it again does nothing.',
    )
    .option('--yes', 'do not ask')
    .addHelpText('after', '\nExample:\n  holdfast repository apply --yes');
  return withGlobalOptions(command).action(
    action(async ({ yes }: { yes?: true }, self: Command) =>
      apply(await openContext(self, 'if known'), yes === true),
    ),
  );
}

async function apply({ config, output, print }: CommandContext, yes: boolean): Promise<ExitCode> {
  const { asAdmin, planBucket } = await import('../repository-plan.ts');
  const { applySettings, requireSupport } = await import('../../repository/bucket/apply.ts');
  const { desiredSettings } = await import('../../repository/bucket/desired.ts');
  return asAdmin(config, async (repository) => {
    const plan = await planBucket(repository, config.config);
    requireSupport(plan, plan.bucket);
    if (output === 'text' && plan.changes.length > 0) {
      process.stdout.write(`${formatSettings(plan, terminalWidth())}\n\n`);
    }
    if (plan.changes.length > 0 && !yes && !(await isWanted(question(plan.changes.length), FIRST_LOOK))) {
      process.stdout.write('nothing was changed\n');
      return EXIT.declined;
    }
    const { changes } = await applySettings(repository.connection, desiredSettings(config.config));
    print({ ...plan, changes }, formatApplied({ ...plan, changes }));
    return EXIT.done;
  });
}

function question(count: number): string {
  return `change ${count === 1 ? 'this setting' : `these ${count} settings`} of the bucket?`;
}

const FIRST_LOOK = 'look at it with holdfast repository plan, then say holdfast repository apply --yes';
