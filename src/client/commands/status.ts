import { Command } from 'commander';
import { auditProblems, readAuditRecord } from '../../repository/audit/record.ts';
import { readCatalogs } from '../../watchdog/catalogs.ts';
import { formerProblems } from '../../watchdog/former.ts';
import { lookForProblems } from '../../watchdog/look.ts';
import { EXIT, type ExitCode, exitCodeOfOutcome } from '../exit.ts';
import { summarize } from '../fleet.ts';
import { showLook } from '../look.ts';
import { follow, observe } from '../observe.ts';
import { action, withGlobalOptions } from '../options.ts';
import { readCatalogOf, withRepository } from '../recoverable.ts';
import { listRuns } from '../runs.ts';
import { type Session, withSession } from '../session.ts';
import { formatFleet } from '../view/fleet.ts';
import { formatRuns } from '../view/runs.ts';
import { watchRun } from '../watch.ts';

export function statusCommand(): Command {
  const command = new Command('status')
    .description('steps, plan and progress of a run; without an id, what is running')
    .argument('[id]', 'workflow id, as the commands print it and `holdfast list` shows it')
    .option('--watch', 'go on until the run has ended')
    .option(
      '--all',
      'every database: what would be lost now, what should have run and did not, what is running',
    )
    .addHelpText(
      'after',
      `
Exit code: 0 runs or completed, 1 failed or parked, 3 waits for a decision, 4 rejected, expired or cancelled.
With --all: 1 when there is any problem.

Examples:
  holdfast status pitr/shop/20260131T140500Z --watch
  holdfast status pitr/shop/20260131T140500Z --output json
  holdfast status --all`,
    );
  return withGlobalOptions(command).action(
    action((id: string | undefined, options: { watch?: true; all?: true }, self: Command) =>
      withSession(
        self,
        (session) =>
          id === undefined
            ? showMany(session, options.all === true)
            : showOne(session, id, options.watch === true),
        // A run is Temporal's to tell of: it must not wait for S3.
        id === undefined && options.all === true ? 'if known' : 'file',
      ),
    ),
  );
}

async function showOne(session: Session, id: string, watch: boolean): Promise<ExitCode> {
  const { client, readEvidence, again, output } = session;
  if (!watch) return showLook(session, await observe(client, id, { readEvidence }));
  if (output === 'json') {
    return showLook(session, await follow(client, id, { until: 'end', readEvidence }));
  }
  const last = await watchRun(client, id, { until: 'end', readEvidence, again });
  return process.stdout.isTTY ? exitCodeOfOutcome(last.status.outcome) : showLook(session, last);
}

async function showMany(session: Session, all: boolean): Promise<ExitCode> {
  const runs = await listRuns(session.client, { running: true, limit: 100 });
  const now = new Date();
  if (!all) {
    session.print(runs, runs.length === 0 ? 'nothing is running' : formatRuns(runs, now));
    return EXIT.done;
  }
  const { client, config: loaded } = session;
  const { config } = loaded;
  const catalogs = await readCatalogs(config, (database) => readCatalogOf(loaded, database));
  const databases = summarize(config, catalogs);
  const { ENGINES } = await import('../../workers/engines.ts');
  const run = { signal: new AbortController().signal, progress: () => {} };
  const former = await formerProblems(loaded, ENGINES, run);
  const known = { before: [], gapLooks: null };
  const { problems: seen, more } = await lookForProblems({ config, client, catalogs, former, ...known, now });
  // That the repository cannot be read is a problem already.
  const audit = await withRepository(loaded, readAuditRecord).catch(() => null);
  const problems = [...auditProblems(audit), ...seen];
  session.print({ databases, problems, more, runs }, formatFleet(databases, runs, { problems, more }, now));
  return problems.length === 0 ? EXIT.done : EXIT.failed;
}
