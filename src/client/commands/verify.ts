import { Command } from 'commander';
import { describeDatabase } from '../../config/describe.ts';
import { parseInput } from '../../model/input.ts';
import type { Verification } from '../../model/verification.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { action, withGlobalOptions } from '../options.ts';
import { operatingSystemUser } from '../person.ts';
import { requireSite } from '../preflight.ts';
import { startRun } from '../runbook.ts';
import { type Session, withSession } from '../session.ts';
import { announce, awaitRun } from '../started.ts';

interface Options {
  backup?: string;
  site?: string;
  reason: string;
  requestedBy?: string;
  wait?: true;
}

export function verifyCommand(): Command {
  const command = new Command('verify')
    .summary('restore the newest backups, and look whether they are what was backed up')
    .description(
      'Restore the newest logical backup, and the newest physical one replayed to the end of its logs, each on an isolated instance; compare rows, checksums, schema and pages; ask the questions of verify.health; remove the instance. The verdict is pass, fail or inconclusive, with every reason. Production is only read.',
    )
    .argument('<database>', 'a database of the configuration')
    .option('--backup <id>', 'only this backup of holdfast catalog')
    .option('--site <site>', 'where the instances are made (default: the first site)')
    .option('--reason <text>', 'why; kept in the evidence', 'asked for')
    .option('--requested-by <name>', 'who asks for it (default: the user of the operating system)')
    .option('--wait', 'follow it until it has ended: exit code 0 for pass, 1 for any other verdict')
    .addHelpText(
      'after',
      `
It runs daily by its schedule, unless verify is off in the configuration.

Examples:
  holdfast verify shop --wait
  holdfast verify shop --backup 20260131T020000Z --wait`,
    );
  return withGlobalOptions(command).action(
    action((database: string, options: Options, self: Command) =>
      withSession(self, (session) => verify(session, database, options)),
    ),
  );
}

async function verify(session: Session, database: string, options: Options): Promise<ExitCode> {
  const { client, config } = session;
  const { backup, site, reason, requestedBy } = options;
  const input = parseInput('dailyVerify', {
    ...{ database, reason, requestedBy: requestedBy ?? operatingSystemUser() },
    ...(backup === undefined ? {} : { backup }),
    ...(site === undefined ? {} : { site }),
  });
  const { engine } = describeDatabase(config.config, database).config;
  await requireSite(client, config.config, site);
  const started = await startRun(client, { type: 'dailyVerify', engine, input });
  await announce(session, started, options.wait === true);
  if (options.wait !== true) return EXIT.done;
  const followed = await awaitRun(session, started.workflowId);
  if (followed !== EXIT.done) return followed;
  const { verdict } = (await client.workflow.getHandle(started.workflowId).result()) as Verification;
  return verdict === 'pass' ? EXIT.done : EXIT.failed;
}
