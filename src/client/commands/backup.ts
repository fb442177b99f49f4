import { Command, Option } from 'commander';
import { type DatabaseView, describeDatabase } from '../../config/describe.ts';
import type { BackupKind, BackupTier } from '../../model/backup.ts';
import type { EngineKind } from '../../model/engine.ts';
import { HoldfastError } from '../../model/failure.ts';
import { parseInput } from '../../model/input.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { action, withGlobalOptions } from '../options.ts';
import { CONTROL_NEED, hostNeed, requireWorkers } from '../preflight.ts';
import { type StartedRun, startRun } from '../runbook.ts';
import { type Session, withSession } from '../session.ts';
import { announce, awaitRun } from '../started.ts';

interface Options {
  tier: BackupTier;
  kind?: BackupKind;
  wait?: true;
}

export function backupCommand(): Command {
  const command = new Command('backup')
    .description('take one backup now, beside those of the schedules')
    .argument('<database>', 'a database of the configuration')
    .addOption(
      new Option('--tier <tier>', 'what kind of backup')
        .choices(['logical', 'physical', 'snapshot'])
        .makeOptionMandatory(),
    )
    .addOption(new Option('--kind <kind>', 'of a physical backup (default: full)').choices(['full', 'diff']))
    .option('--wait', 'follow it until it has ended')
    .addHelpText(
      'after',
      `
Examples:
  holdfast backup shop --tier logical --wait
  holdfast backup shop --tier physical --kind diff
  holdfast backup shop --tier snapshot --wait      the month's first verified backup, unless the month has its snapshot`,
    );
  return withGlobalOptions(command).action(
    action((database: string, options: Options, self: Command) =>
      withSession(self, (session) => backUp(session, database, options), 'if known'),
    ),
  );
}

async function backUp(session: Session, database: string, options: Options): Promise<ExitCode> {
  const { client, config } = session;
  const described = describeDatabase(config.config, database);
  refuse(options, described);
  const { engine, host } = described.config;
  await requireWorkers(client, options.tier === 'snapshot' ? [CONTROL_NEED] : [CONTROL_NEED, hostNeed(host)]);
  const started = await start(client, engine, database, options);
  await announce(session, started, options.wait === true);
  return options.wait === true ? awaitRun(session, started.workflowId) : EXIT.done;
}

function start(
  client: Session['client'],
  engine: EngineKind,
  database: string,
  { tier, kind = 'full' }: Options,
): Promise<StartedRun> {
  if (tier === 'physical') {
    const input = parseInput('physicalBackup', { database, kind });
    return startRun(client, { type: 'physicalBackup', engine, input });
  }
  const type = tier === 'logical' ? 'logicalBackup' : 'monthlySnapshot';
  return startRun(client, { type, engine, input: parseInput(type, { database }) });
}

function refuse({ tier, kind }: Options, { name, tiers, bases }: DatabaseView): void {
  if (tier === 'physical' && bases === 'logical') {
    throw new HoldfastError('NotSupported', `${name} has no physical backups: its bases are logical ones`, {
      hint: `holdfast backup ${name} --tier logical`,
    });
  }
  if (tier === 'snapshot' && tiers.snapshot === null) {
    throw new HoldfastError('NotSupported', `snapshots of ${name} are switched off`, {
      hint: 'set tiers.snapshot in the configuration, with a physical or a logical tier to copy',
    });
  }
  if (tier !== 'physical' && kind !== undefined) {
    throw new HoldfastError('InvalidInput', `a ${tier} backup is always whole: it has no --kind`, {
      hint: 'leave --kind out, or take a physical backup: --tier physical',
    });
  }
}
