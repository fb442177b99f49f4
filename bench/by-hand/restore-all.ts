import { join } from 'node:path';
import { Readable } from 'node:stream';
import { clientEnvironment } from '../../src/engines/postgres/connection.ts';
import { instanceAccess, prepareLayout } from '../../src/engines/postgres/place.ts';
import { postgresProgram } from '../../src/engines/postgres/programs.ts';
import { awaitAnswer, newLog, startServer, stop } from '../../src/engines/postgres/server.ts';
import { writeSettings } from '../../src/engines/postgres/settings.ts';
import { runTool, startTool } from '../../src/engines/process.ts';
import { localInstances } from '../../src/instances/local.ts';
import type { Manifest } from '../../src/model/backup.ts';
import type { Repository } from '../../src/repository/repository.ts';

const USER = 'holdfast-restore';
const MAJOR = 15;
const COUNT_ALL = `SELECT format('SELECT count(*) FROM %s;', c.oid::regclass)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') \\gexec
`;

/**
 * What a person does who wants one table and knows no better: a new server with the settings of ours, the roles, and
 * `pg_restore` of the whole dump as it comes out of the bucket; with `count`, `count(*)` of every table.
 */
export async function restoreAllByHand(
  directory: string,
  {
    repository,
    manifest,
    database,
    count = false,
  }: { repository: Repository; manifest: Manifest; database: string; count?: boolean },
  signal: AbortSignal,
): Promise<void> {
  const dumped = manifest.databases.find(({ name }) => name === database);
  const [object] = dumped?.objects ?? [];
  if (object === undefined || manifest.globals === null) throw new Error('the backup has no such dump');
  const tool = { signal, user: USER };
  const run = { signal, progress: () => {} };
  const site = localInstances({
    ...{
      site: 'by-hand',
      host: 'here',
      directory: join(directory, 'by-hand-site'),
      user: USER,
      reserveBytes: 0,
    },
  });
  const place = await site.provision({
    ...{ id: 'all', database, engine: 'postgres', expiresAt: '2099-01-01T00:00:00Z' },
    owner: { workflowId: 'by-hand', runId: 'by-hand' },
  });
  try {
    const { data } = await prepareLayout(place);
    const bin = (name: string) => postgresProgram(name, MAJOR);
    const options = [`--pgdata=${data}`, '--username=postgres', '--encoding=UTF8', '--locale=C.UTF-8'];
    await runTool(await bin('initdb'), [...options, '--auth=trust', '--no-sync'], tool);
    await writeSettings(place, {
      ...{ serverMajor: MAJOR, target: { latest: true }, timeline: 1, archiveGet: null, fsync: false },
      parameters: {
        ...{ max_connections: 50, max_worker_processes: 8, max_wal_senders: 0 },
        ...{ max_prepared_transactions: 0, max_locks_per_transaction: 256 },
      },
    });
    const log = newLog(place);
    const pid = await startServer(place, { serverMajor: MAJOR, log, environment: {} });
    await awaitAnswer(place, { user: 'postgres', database: 'template1' }, pid, run);
    const env = {
      ...clientEnvironment(instanceAccess(place, { user: 'postgres', database: 'template1' })),
      PGOPTIONS: '-c default_transaction_read_only=off',
    };
    const globals = (await repository.getText(manifest.globals, signal)) ?? '';
    await runTool(await bin('psql'), ['--no-psqlrc', '--quiet', '--file=-'], {
      ...tool,
      env,
      stdin: globals,
    });
    const source = Readable.from(repository.stream(object, signal), { objectMode: false });
    const zstd = startTool('zstd', ['--decompress', '--stdout', '-'], {
      ...tool,
      stdin: source,
      stdout: 'pipe',
    });
    const restore = startTool(await bin('pg_restore'), ['--create', '--dbname=template1'], {
      ...{ ...tool, env, stdin: zstd },
    });
    await restore.finished;
    if (count) {
      await runTool(await bin('psql'), ['--no-psqlrc', '--quiet', '--file=-', `--dbname=${database}`], {
        ...{ ...tool, env, stdin: COUNT_ALL },
      });
    }
  } finally {
    await site.remove(place.id, { stop: (record) => stop(record) });
  }
}
