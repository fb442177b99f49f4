import { Command, CommanderError } from 'commander';
import { HoldfastError } from '../model/failure.ts';
import { EXIT } from './exit.ts';
import { reportFailure } from './options.ts';

interface Entry {
  name: string;
  summary: string;
  load: () => Promise<Command>;
}

/** Every command by what a person wants to do. Only the one that is called is loaded: help has to be quick. */
const GROUPS: Record<string, Entry[]> = {
  'Protect:': [
    {
      name: 'backup',
      summary: 'take one backup now',
      load: async () => (await import('./commands/backup.ts')).backupCommand(),
    },
    {
      name: 'schedules',
      summary: 'apply or list the schedules of all tiers',
      load: async () => (await import('./commands/schedules.ts')).schedulesCommand(),
    },
    {
      name: 'catalog',
      summary: 'what can be recovered, and from which backups',
      load: async () => (await import('./commands/catalog.ts')).catalogCommand(),
    },
    {
      name: 'gap',
      summary: 'logs that are missing: list them, or take note of one',
      load: async () => (await import('./commands/gap.ts')).gapCommand(),
    },
  ],
  'Recover:': [
    {
      name: 'find',
      summary: 'which transactions took rows from a table',
      load: async () => (await import('./commands/find.ts')).findCommand(),
    },
    {
      name: 'restore',
      summary: 'recover a database, or rows of it, to a moment',
      load: async () => (await import('./commands/restore.ts')).restoreCommand(),
    },
    {
      name: 'undo',
      summary: 'take an import back',
      load: async () => (await import('./commands/undo.ts')).undoCommand(),
    },
    {
      name: 'verify',
      summary: 'restore the newest backups, and look whether they are what was backed up',
      load: async () => (await import('./commands/verify.ts')).verifyCommand(),
    },
    {
      name: 'drill',
      summary: 'recover something at random, up to but not into production, and measure it',
      load: async () => (await import('./commands/drill.ts')).drillCommand(),
    },
    {
      name: 'connect',
      summary: 'open psql on a restored instance, or on a database',
      load: async () => (await import('./commands/connect.ts')).connectCommand(),
    },
  ],
  'Decide:': [
    {
      name: 'approve',
      summary: 'say yes to exactly the plan that a runbook shows',
      load: async () => (await import('./commands/approve.ts')).approveCommand(),
    },
    {
      name: 'reject',
      summary: 'say no to a plan: nothing is changed',
      load: async () => (await import('./commands/reject.ts')).rejectCommand(),
    },
    {
      name: 'retarget',
      summary: 'recover to another moment, while a plan waits',
      load: async () => (await import('./commands/retarget.ts')).retargetCommand(),
    },
    {
      name: 'resume',
      summary: 'let a parked runbook go on',
      load: async () => (await import('./commands/resume.ts')).resumeCommand(),
    },
  ],
  'Look:': [
    {
      name: 'status',
      summary: 'steps, plan and progress of a run; --all: every database',
      load: async () => (await import('./commands/status.ts')).statusCommand(),
    },
    {
      name: 'report',
      summary: 'objectives, proofs, drills and open findings; --html: a page for an auditor',
      load: async () => (await import('./commands/report.ts')).reportCommand(),
    },
    {
      name: 'list',
      summary: 'runbooks and backups that ran or run',
      load: async () => (await import('./commands/list.ts')).listCommand(),
    },
  ],
  'Operate:': [
    {
      name: 'runbook',
      summary: 'the restore runbooks of a database as documents',
      load: async () => (await import('./commands/runbook.ts')).runbookCommand(),
    },
    {
      name: 'repository',
      summary: "the bucket's protection: plan, apply, check, audit, repair",
      load: async () => (await import('./commands/repository.ts')).repositoryCommand(),
    },
    {
      name: 'init',
      summary: 'write a commented configuration',
      load: async () => (await import('./commands/init.ts')).initCommand(),
    },
    {
      name: 'config',
      summary: 'check the configuration',
      load: async () => (await import('./commands/config.ts')).configCommand(),
    },
    {
      name: 'doctor',
      summary: 'whether everything is there that backups and recoveries need',
      load: async () => (await import('./commands/doctor.ts')).doctorCommand(),
    },
    {
      name: 'worker',
      summary: 'run a worker process',
      load: async () => (await import('./commands/worker.ts')).workerCommand(),
    },
    {
      name: 'dev',
      summary: 'a whole environment on this machine: up, down, status',
      load: async () => (await import('./commands/dev.ts')).devCommand(),
    },
  ],
};

/** The program with the command that these arguments call, in full, and the others by name. */
export async function createProgram(version: string, given: readonly string[]): Promise<Command> {
  const called = commandNames(given);
  const program = new Command('holdfast')
    .description('Database backup, restore and disaster recovery as durable workflows.')
    .version(version, '-V, --version', 'the version of Holdfast')
    .helpOption('-h, --help', 'this help')
    .showSuggestionAfterError()
    .addHelpText('after', HELP);
  for (const [heading, entries] of Object.entries(GROUPS)) {
    for (const entry of entries) {
      const wanted = called.includes(entry.name);
      const command = wanted ? await entry.load() : new Command(entry.name).description(entry.summary);
      program.addCommand(command.summary(entry.summary).helpGroup(heading));
    }
  }
  program.addHelpCommand(
    new Command('help').argument('[command]').description('help on one command').helpGroup('Operate:'),
  );
  prepare(program, given);
  return program;
}

const HELP = `
Each command has --help with an example, --output json and --config <file>.

Rows are gone:
  holdfast find shop --table public.orders --since 2h
  holdfast restore pitr shop --time 2026-01-31T14:05:00Z --table public.orders --reason 'INC-42'
  holdfast status <id> --watch
  holdfast approve <id>

The site is lost:
  holdfast restore full shop --site second --reason 'INC-42'`;

/** The command that is called: the first word; with `help`, the one after it. */
function commandNames(given: readonly string[]): string[] {
  return given.filter((word) => !word.startsWith('-')).slice(0, 2);
}

/** Every command throws instead of ending the process, and says what is wrong in our form. */
function prepare(command: Command, given: readonly string[]): void {
  command.exitOverride().configureOutput({
    outputError: (text) => {
      const [message, ...rest] = text
        .trim()
        .replace(/^error: /, '')
        .split('\n');
      const suggestion = /\(Did you mean (.*)\?\)/.exec(rest.join(' '))?.[1];
      const help = `holdfast ${pathOf(command)}--help shows what there is`;
      const hint = suggestion === undefined ? help : `did you mean ${suggestion}? ${help}`;
      const format = given.some(
        (word, at) => word === '--output=json' || (word === '--output' && given[at + 1] === 'json'),
      );
      reportFailure(new HoldfastError('InvalidInput', message ?? '', { hint }), format ? 'json' : 'text');
    },
  });
  for (const child of command.commands) prepare(child, given);
}

function pathOf(command: Command): string {
  return command.parent === null ? '' : `${pathOf(command.parent)}${command.name()} `;
}

/** Runs the program; wrong usage ends with exit code 2, help with 0. */
export async function run(program: Command, given: readonly string[]): Promise<void> {
  if (given.length === 0) {
    program.outputHelp();
    process.exitCode = EXIT.usage;
    return;
  }
  try {
    await program.parseAsync([...given], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
}
