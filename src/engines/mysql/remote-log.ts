import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { runTool } from '../process.ts';
import { withClientFile } from './client-file.ts';
import { withConnection } from './connection.ts';
import { describeSeries, flavourOf } from './flavour.ts';
import { dumpPrograms } from './programs.ts';

/**
 * Fetches one log through the server into a directory, as the server wrote it: `mysqlbinlog --read-from-remote-server
 * --raw`. The program has to be of the server's own flavour. Throws ToolMissing, LogGap, PermissionDenied, ToolFailed.
 */
export async function readRemoteLog(
  { access, log, directory }: { access: ServerAccess; log: string; directory: string },
  run: Run,
): Promise<void> {
  const series = await withConnection(access, run, async ({ server }) => server.series);
  const { binlog } = await dumpPrograms(series);
  if (binlog === null) {
    throw new HoldfastError('ToolMissing', `mysqlbinlog of ${describeSeries(series)} was not found`, {
      hint: "install it on this host, or name the folder of the binary logs on the database's host: mysql.logDirectory",
    });
  }
  await withClientFile(access, flavourOf(series), (file) =>
    runTool(
      binlog,
      [
        `--defaults-extra-file=${file}`,
        '--read-from-remote-server',
        '--raw',
        `--result-file=${directory}/`,
        log,
      ],
      { signal: run.signal, classify: ({ output }) => logError(output, log) },
    ),
  );
}

function logError(output: string, log: string): HoldfastError | undefined {
  if (/Could not find first log file|could not be found|purged/i.test(output)) {
    return new HoldfastError('LogGap', `log ${log} is not on the server any more`, {
      hint: 'keep binary logs longer on the server (binlog_expire_logs_seconds) than they take to be shipped',
    });
  }
  if (/REPLICATION SLAVE|Access denied/i.test(output)) {
    return new HoldfastError('PermissionDenied', 'the user may not read binary logs through the server', {
      hint: 'grant it REPLICATION SLAVE (MariaDB: also BINLOG MONITOR)',
    });
  }
  return undefined;
}
