import { Command } from 'commander';
import { EXIT, type ExitCode } from '../exit.ts';
import { action, openContext, withGlobalOptions } from '../options.ts';

export function workerCommand(): Command {
  const command = new Command('worker')
    .description('run the worker: workflows, the work at a host or on a site')
    .option('--roles <list>', 'control, host:<name>, site:<name>, separated by commas (default: all)')
    .option('--metrics <host:port>', 'answer Prometheus there (default: metrics.listen, else nowhere)')
    .addHelpText(
      'after',
      `
Ends on SIGTERM or SIGINT, after it has handed back what it does; a killed worker's work is done again.
Logs are JSON on stdout; HOLDFAST_LOG_LEVEL sets the level.

Examples:
  holdfast worker
  holdfast worker --roles host:db1,site:frankfurt`,
    );
  return withGlobalOptions(command).action(action((options: Options, self: Command) => work(self, options)));
}

interface Options {
  roles?: string;
  metrics?: string;
}

async function work(command: Command, { roles: wanted, metrics }: Options): Promise<ExitCode> {
  const { config } = await openContext(command);
  const { allRoles, parseRoles } = await import('../../workers/roles.ts');
  const roles = wanted === undefined ? allRoles(config.config) : parseRoles(wanted, config.config);
  const { createLogger, installRuntime } = await import('../../workers/logger.ts');
  const { runWorker } = await import('../../workers/worker.ts');
  const logger = createLogger();
  const listen = metrics ?? config.config.metrics?.listen;
  const { prometheusAt } = await import('../../workers/metrics.ts');
  installRuntime(logger, listen === undefined ? {} : await prometheusAt(listen));
  const { otlp } = config.config.tracing ?? {};
  const tracing = otlp === undefined ? null : await (await import('../../workers/tracing.ts')).traceTo(otlp);
  const { connectTemporal, connectWorker } = await import('../temporal.ts');
  const { connection } = await connectWorker(config);
  try {
    const { client, close } = await connectTemporal(config);
    try {
      await runWorker({ config, roles, connection, client, logger, ...(tracing && { tracing }) });
    } finally {
      await tracing?.end();
      await close();
    }
  } finally {
    await connection.close();
  }
  return EXIT.done;
}
