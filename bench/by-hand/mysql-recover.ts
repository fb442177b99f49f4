import { chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { layoutOf as devLayout } from '../../src/client/dev/configuration.ts';
import { accessOf } from '../../src/client/dev/mysql-sample.ts';
import { optionText } from '../../src/engines/mysql/option-file.ts';
import { layoutOf, prepareLayout } from '../../src/engines/mysql/place.ts';
import { dumpPrograms, mysqlProgram, serverArguments } from '../../src/engines/mysql/programs.ts';
import { sizes, writeSettings } from '../../src/engines/mysql/settings.ts';
import { runTool, userIds } from '../../src/engines/process.ts';
import type { Manifest } from '../../src/model/backup.ts';
import { listManifests } from '../../src/repository/manifests.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import { listShippedLogs, readLogRecords } from '../../src/repository/shipped/logs.ts';
import { ACCIDENT } from '../mysql-data.ts';
import type { MysqlStack } from '../mysql-stack.ts';
import { stepsOf } from './steps.ts';

const SCRIPT = fileURLToPath(new URL('mysql-recover.sh', import.meta.url));
const SERIES = 800;
const USER = 'holdfast-restore';

/** Runs the script of a point-in-time recovery; returns the seconds of its steps. */
export async function recoverMysqlByHand(
  stack: MysqlStack,
  target: string,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const { config, directory } = stack.config;
  const begun = performance.now();
  const repository = await openRepository(config.repository, { use: 'restore', baseDirectory: directory });
  const place = { directory: join(stack.directory, 'by-hand'), user: USER };
  try {
    const chosen = await choose(repository, target, signal);
    const choose_ = (performance.now() - begun) / 1_000;
    const { bin, mysqld } = await programs();
    const base = await serverArguments(SERIES);
    await writeFiles(stack, place);
    const { endpoint, bucket } = config.repository;
    const { stdout } = await runTool('bash', [SCRIPT], {
      signal,
      stdout: 'text',
      env: {
        ...{ PLACE: place.directory, BUCKET: `${endpoint}/${bucket}/${repository.fullKey('')}`, ...chosen },
        UNTIL: target.slice(0, 19).replace('T', ' '),
        ...{ MYSQLD: mysqld, BIN: bin, RESTORE_USER: USER },
        INITIALIZE: [
          ...base,
          ...Object.entries({ 'innodb-flush-method': 'nosync', ...sizes(SERIES) }).map(
            ([name, value]) => `--${name}=${value}`,
          ),
        ].join(' '),
        DATABASE: accessOf(stack.url).database,
        TABLES: ACCIDENT.map(({ table, key }) => `${table}:${key}`).join(' '),
      },
    });
    return { 'choose base': choose_, ...stepsOf(stdout) };
  } finally {
    repository.close();
    await rm(layoutOf(place).sockets, { recursive: true, force: true });
    await rm(place.directory, { recursive: true, force: true });
  }
}

/** What people read in the bucket: the newest dump before the moment, and the logs from there on. */
async function choose(repository: Repository, target: string, signal: AbortSignal) {
  const manifests = await listManifests(repository, 'shop');
  const before = manifests.filter(
    ({ tier, positions }) => tier === 'logical' && (positions.at ?? '~') < target,
  );
  const base = before.toSorted((a, b) => (a.startedAt < b.startedAt ? 1 : -1))[0] as Manifest;
  const [startLog, position] = (base.positions.stop as string).split(':') as [string, string];
  const logs = (await listShippedLogs(repository, 'shop', { signal }))
    .filter(({ name, createdAt }) => name >= startLog && createdAt <= target)
    .toSorted((a, b) => a.number - b.number);
  const records = await readLogRecords(repository, logs, signal);
  const [dump] = base.databases.find(({ name }) => name === 'shop')?.objects ?? [];
  return {
    DUMP: dump?.key as string,
    LOGS: records.map(({ name, objects }) => `${name}=${objects[0]?.key}`).join(' '),
    POSITION: position,
  };
}

async function programs(): Promise<{ bin: string; mysqld: string }> {
  const found = await dumpPrograms(804);
  return { bin: dirname(found.client), mysqld: await mysqlProgram('mysqld', SERIES) };
}

/** The server has the settings of ours; it is not what is compared. */
async function writeFiles(stack: MysqlStack, place: { directory: string; user: string }): Promise<void> {
  const { uid, gid } = userIds(place.user);
  await mkdir(place.directory, { recursive: true });
  await chmod(place.directory, 0o755);
  await chown(place.directory, uid, gid);
  const { sockets } = await prepareLayout(place);
  const file = (name: string) => join(place.directory, name);
  const settings = await writeSettings(place, {
    ...{ serverMajor: SERIES, lowerCaseTableNames: 0, readOnly: false },
  });
  const base = await serverArguments(SERIES);
  await writeFile(
    file('my.cnf'),
    `${await readFile(settings, 'utf8')}${base.map((one) => one.slice(2)).join('\n')}\n`,
  );
  const restored = { host: sockets, port: 0, user: 'root', password: null, database: '', tls: null };
  const client = (text: string) => `${text}\n[mysql]\nlocal-infile=1\nmax-allowed-packet=1G\n`;
  const write = (name: string, text: string) => writeFile(file(name), text, { mode: 0o600 });
  await write('restored.cnf', client(optionText(restored, 'mysql', '')));
  await write('production.cnf', optionText(accessOf(stack.url), 'mysql', ''));
  await write('s3.conf', await curlText(stack));
}

async function curlText(stack: MysqlStack): Promise<string> {
  const { region, caFile } = stack.config.config.repository;
  const { secrets } = devLayout(stack.directory);
  const read = (path: string) => readFile(path, 'utf8');
  const options = {
    'aws-sigv4': `aws:amz:${region}:s3`,
    user: `${await read(secrets.restoreAccessKeyId)}:${await read(secrets.restoreSecretAccessKey)}`,
    header: `x-amz-security-token: ${await read(secrets.restoreSessionToken)}`,
    cacert: caFile as string,
  };
  return Object.entries(options)
    .map(([name, value]) => `${name} = "${value}"\n`)
    .join('');
}
