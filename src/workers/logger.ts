import { DefaultLogger, Runtime, type TelemetryOptions } from '@temporalio/worker';
import { type Logger, pino } from 'pino';

/** One JSON logger for the process; level from HOLDFAST_LOG_LEVEL (default info). */
export function createLogger(): Logger {
  return pino({ name: 'holdfast', level: process.env.HOLDFAST_LOG_LEVEL ?? 'info' });
}

/** The SDK's own runtime logs through ours. Once, and before any connection: a later install is refused. */
export function installRuntime(logger: Logger, telemetryOptions: TelemetryOptions = {}): void {
  Runtime.install({
    shutdownSignals: ['SIGINT', 'SIGTERM'],
    telemetryOptions,
    logger: new DefaultLogger('INFO', ({ level, message, meta }) => {
      const write = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
      logger[write[level]](meta ?? {}, message);
    }),
  });
}
