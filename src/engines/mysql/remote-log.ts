import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { runTool, type ToolResult } from '../process.ts';
import { withConnection } from './connection.ts';
import { describeSeries, flavourOf } from './flavour.ts';
import { goneFrom } from './log-file.ts';
import { withOptionFile } from './option-file.ts';
import { dumpPrograms } from './programs.ts';

interface RemoteLog {
  access: ServerAccess;
  /** the server's name of it */
  log: string;
}

/**
 * Fetches one log through the server into a directory, byte for byte as the server wrote it: `mysqlbinlog
 * --read-from-remote-server --raw`. The program has to be of the server's own flavour. Throws ToolMissing, LogGap,
 * PermissionDenied, ToolFailed.
 */
export async function readRemoteLog(
  { directory, ...remote }: RemoteLog & { directory: string },
  run: Run,
): Promise<void> {
  await runBinlog(remote, ['--raw', `--result-file=${directory}/`], run);
}

/** What a log says of its own beginning: the time in the first event, which is before position 5. ISO 8601. Throws the same. */
export async function readRemoteHead(remote: RemoteLog, run: Run): Promise<string> {
  const { stdout } = await runBinlog(remote, ['--stop-position=5'], run);
  const at = parseHeadTime(stdout);
  if (at !== null) return at;
  throw new HoldfastError('ToolFailed', `mysqlbinlog does not say when log ${remote.log} was begun`);
}

/** Of `#261125 23:44:56 server id 1  end_log_pos 126 CRC32 0x02f7097b 	Start: binlog v 4, …`, printed in UTC. */
export function parseHeadTime(text: string): string | null {
  const [, year, month, day, hour, minute, second] =
    /^#(\d\d)(\d\d)(\d\d) +(\d+):(\d\d):(\d\d) server id .*Start: binlog v/m.exec(text) ?? [];
  if (second === undefined) return null;
  return new Date(`20${year}-${month}-${day}T${hour?.padStart(2, '0')}:${minute}:${second}Z`).toISOString();
}

async function runBinlog(
  { access, log }: RemoteLog,
  options: readonly string[],
  run: Run,
): Promise<ToolResult> {
  const series = await withConnection(access, run, async ({ server }) => server.series);
  const { binlog } = await dumpPrograms(series);
  if (binlog === null) {
    throw new HoldfastError('ToolMissing', `mysqlbinlog of ${describeSeries(series)} was not found`, {
      hint: "install it on this host, or name the folder of the binary logs on the database's host: mysql.logDirectory",
    });
  }
  return withOptionFile(access, flavourOf(series), (optionFile) =>
    runTool(
      binlog,
      [optionFile, '--read-from-remote-server', ...options, log],
      // Times are printed in the program's own zone.
      {
        ...{ signal: run.signal, env: { TZ: 'UTC' }, stdout: 'text' },
        classify: ({ output }) => logError(output, log),
      },
    ),
  );
}

function logError(output: string, log: string): HoldfastError | undefined {
  if (/Could not find first log file|could not be found|purged/i.test(output)) {
    return goneFrom('on the server', log);
  }
  if (/REPLICATION SLAVE|Access denied/i.test(output)) {
    return new HoldfastError('PermissionDenied', 'the user may not read binary logs through the server', {
      hint: 'grant it REPLICATION SLAVE (MariaDB: also BINLOG MONITOR)',
    });
  }
  return undefined;
}
