import { Command, Option } from 'commander';
import { describeDatabase } from '../../config/describe.ts';
import type { BackupKind, BackupTier } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import { parseInput } from '../../model/input.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { action, withGlobalOptions } from '../options.ts';
import { CONTROL_NEED, hostNeed, requireWorkers } from '../preflight.ts';
import { startRun } from '../runbook.ts';
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
  holdfast backup shop --tier physical --kind diff`,
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
  refuse(options);
  await requireWorkers(client, [CONTROL_NEED, hostNeed(described.config.host)]);
  const { engine } = described.config;
  const started =
    options.tier === 'logical'
      ? await startRun(client, {
          type: 'logicalBackup',
          engine,
          input: parseInput('logicalBackup', { database }),
        })
      : await startRun(client, {
          type: 'physicalBackup',
          engine,
          input: parseInput('physicalBackup', { database, kind: options.kind ?? 'full' }),
        });
  await announce(session, started, options.wait === true);
  return options.wait === true ? awaitRun(session, started.workflowId) : EXIT.done;
}

function refuse({ tier, kind }: Options): void {
  if (tier === 'snapshot') {
    throw new HoldfastError('NotSupported', 'the snapshot tier is not supported by this version', {
      hint: 'take a physical or a logical backup: --tier physical, --tier logical',
    });
  }
  if (tier === 'logical' && kind !== undefined) {
    throw new HoldfastError('InvalidInput', 'a logical backup is always whole: it has no --kind', {
      hint: 'leave --kind out, or take a physical backup: --tier physical',
    });
  }
}
