import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeDatabase } from '../../../src/config/describe.ts';
import { checkAddresses } from '../../../src/doctor/address.ts';
import type { Check, Finding, Patient } from '../../../src/doctor/check.ts';
import { checkDisk } from '../../../src/doctor/disk.ts';
import { checkEndpoints } from '../../../src/doctor/endpoints.ts';
import { checkFences } from '../../../src/doctor/fence.ts';
import { checkFiles } from '../../../src/doctor/files.ts';
import { checkLogFolders } from '../../../src/doctor/log-folders.ts';
import { checkRepository } from '../../../src/doctor/repository.ts';
import { checkSecrets, secretsIn } from '../../../src/doctor/secrets.ts';
import { checkTemporal } from '../../../src/doctor/temporal.ts';
import { checkBackupTool, checkServerPrograms } from '../../../src/doctor/tools.ts';
import { checkUsers } from '../../../src/doctor/users.ts';
import type { Manifest } from '../../../src/model/backup.ts';
import { HoldfastError } from '../../../src/model/failure.ts';
import { databaseText, exampleConfig } from '../config/example.ts';

const TAKEOVER = 'takeover: {here: {address: 127.0.0.1, port: 1}}';

/** A machine of site `here`; `more` are further lines of its database. */
function patient(more: string, base: Partial<Manifest> = {}): Patient {
  const config = exampleConfig({ databases: databaseText('shop', more) });
  const database = describeDatabase(config, 'shop');
  const takeover = database.config.takeover.here;
  return {
    loaded: { config, path: '/etc/holdfast.yaml', directory: '/' },
    site: 'here',
    databases: [database],
    takeovers: takeover === undefined ? [] : [{ database, takeover }],
    baseOf: async () => ({ serverVersion: '15', databaseBytes: 1, ...base }) as Manifest,
    engines: {},
    temporal: { reach: async () => 'there', requireServed: async () => {} },
    patienceMs: 0,
    run: { signal: AbortSignal.timeout(10_000), progress: () => {} },
  };
}

/** The findings of a check, as a person reads them. */
async function linesOf(check: Check, of: Patient): Promise<string[]> {
  const text = ({ check: name, ok, detail, hint }: Finding) =>
    `${ok ? 'OK' : 'FAILED'} ${name}: ${detail}${hint === null ? '' : `\nHINT: ${hint}`}`;
  return (await check(of)).map(text);
}

/** The one finding that is not as it should be. */
async function failureOf(check: Check, of: Patient): Promise<string> {
  const failed = (await linesOf(check, of)).filter((line) => line.startsWith('FAILED'));
  expect(failed).toHaveLength(1);
  return failed[0] ?? '';
}

describe('secrets', () => {
  it('are found however deep they lie, and nothing else is', () => {
    const part = {
      a: { env: 'A' },
      b: [{ c: { file: 'f' } }],
      file: { path: 'p', url: 'u' },
      env: 'x',
      n: 1,
    };
    expect(secretsIn(part).map(({ path }) => path)).toEqual(['a', 'b.0.c']);
  });

  it('are named where they are not there, and never shown where they are', async () => {
    process.env.DOCTOR_PASSWORD = 'not-told';
    const of = patient(TAKEOVER);
    of.loaded.config.repository.cipher = { file: 'no-such-file' };
    const [shop] = of.databases;
    if (shop !== undefined) shop.config.connection.password = { env: 'DOCTOR_PASSWORD' };
    const lines = await linesOf(checkSecrets, of);
    expect(lines).toEqual([
      expect.stringMatching(
        /^FAILED secret repository\.cipher: .*\/no-such-file cannot be read \(ENOENT\)\nHINT: /,
      ),
      'OK secret databases.shop.connection.password: is in the variable DOCTOR_PASSWORD',
    ]);
    expect(lines.join()).not.toContain('not-told');
  });

  it('of endpoints are needed only where the endpoints are switched', async () => {
    const endpoints =
      'endpoints: [{pgbouncer: {ini: /p.ini, database: shop, admin: {host: h, port: 1, user: u, password: {env: NOT_SET_ANYWHERE}}}}]';
    expect(await linesOf(checkSecrets, patient(endpoints))).toEqual([]);
    expect(await failureOf(checkSecrets, patient(`${TAKEOVER}\n${endpoints}`))).toMatch(
      /secret databases\.shop\.endpoints\.0\.pgbouncer\.admin\.password: .*NOT_SET_ANYWHERE is not set\nHINT: set /,
    );
  });
});

it('misses a certificate of the server that would take over', async () => {
  const of = patient('takeover: {here: {address: db, tls: {certFile: /no.crt, keyFile: /dev/null}}}');
  expect(await failureOf(checkFiles, of)).toBe(
    'FAILED file databases.shop.takeover.here.tls.certFile: /no.crt cannot be read (ENOENT)\nHINT: put the PEM file there, or correct databases.shop.takeover.here.tls.certFile',
  );
});

it('says that a repository is away, once for each thing that it is needed for', async () => {
  process.env.DOCTOR_ID = 'x';
  const of = patient('');
  of.loaded.config.repository = {
    ...of.loaded.config.repository,
    endpoint: 'https://127.0.0.1:9',
    pathStyle: true,
    credentials: { accessKeyId: { env: 'DOCTOR_ID' }, secretAccessKey: { env: 'DOCTOR_ID' } },
  };
  const lines = await linesOf(checkRepository, of);
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(line).toMatch(/^FAILED .*127\.0\.0\.1:9[\s\S]*HINT: /);
});

it('misses the server programs of a major version', async () => {
  expect(await linesOf(checkServerPrograms, patient(''))).toEqual([
    expect.stringMatching(/^OK server programs for shop: PostgreSQL 15: .*\/postgres$/),
  ]);
  expect(await failureOf(checkServerPrograms, patient('', { serverVersion: '9' }))).toMatch(
    /postgres of PostgreSQL 9 was not found\nHINT: install PostgreSQL 9/,
  );
});

describe('of a MySQL database', () => {
  const mysqlText = (folder: string) =>
    [
      ...['  shop:', '    engine: mysql', '    host: db1', `    mysql: {logDirectory: ${folder}}`],
      '    connection: {host: 127.0.0.1, port: 3306, user: holdfast, database: shop}',
      '',
    ].join('\n');
  const mysqlPatient = (folder: string, base: Partial<Manifest> = {}): Patient => {
    const config = exampleConfig({ databases: mysqlText(folder) });
    return {
      ...patient('', { engine: 'mysql', serverVersion: '8.0.31', ...base }),
      loaded: { config, path: '/etc/holdfast.yaml', directory: '/' },
      databases: [describeDatabase(config, 'shop')],
    };
  };
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'doctor-logs-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('the programs are those of its series, and no pgBackRest is asked for', async () => {
    expect(await linesOf(checkServerPrograms, mysqlPatient(folder))).toEqual([
      expect.stringMatching(/^OK server programs for shop: MySQL 8\.0: .*\/mysqld; exports by .*\/m/),
    ]);
    expect(await linesOf(checkServerPrograms, mysqlPatient(folder, { serverVersion: '10.11.4' }))).toEqual([
      expect.stringMatching(/^OK server programs for shop: MariaDB 10\.11: .*\/mariadbd; /),
    ]);
    expect(await failureOf(checkServerPrograms, mysqlPatient(folder, { serverVersion: '8.9.1' }))).toMatch(
      /mysqld for MySQL 8\.9 was not found\nHINT: .*tools\.mysql\."8\.9"/,
    );
    expect(await linesOf(checkBackupTool, mysqlPatient(folder))).toEqual([]);
  });

  it('the folder of its logs has logs', async () => {
    expect(await failureOf(checkLogFolders, mysqlPatient(folder))).toMatch(
      /^FAILED logs of shop: there is no binary log in .*\nHINT: see log_bin_basename .*shop\.mysql\.logDirectory$/,
    );
    await writeFile(join(folder, 'binlog.000001'), '');
    await writeFile(join(folder, 'binlog.index'), '');
    expect(await linesOf(checkLogFolders, mysqlPatient(folder))).toEqual([
      `OK logs of shop: 1 log in ${folder} can be read`,
    ]);
    expect(await failureOf(checkLogFolders, mysqlPatient('/no/such/folder'))).toMatch(
      /\/no\/such\/folder cannot be read \(ENOENT\)\nHINT: .*leave out databases\.shop\.mysql\.logDirectory/,
    );
  });

  it('the folder is looked for on its own host only', async () => {
    const two = mysqlPatient('/no/such/folder');
    Object.assign(two.loaded.config.sites.here ?? {}, { hosts: ['db1', 'db2'] });
    expect(await linesOf(checkLogFolders, two)).toEqual([
      'OK logs of shop: /no/such/folder is not on this machine',
    ]);
    Object.assign(two.loaded.config.sites.here ?? {}, { hosts: ['db2'] });
    expect(await linesOf(checkLogFolders, two)).toEqual([]);
  });
});

describe('users', () => {
  it('are made where there are none', async () => {
    const of = patient('');
    Object.assign(of.loaded.config.sites.here ?? {}, { user: 'nobody-here' });
    expect(await failureOf(checkUsers, of)).toMatch(/no operating-system user nobody-here\nHINT: .*useradd/);
  });

  it('are two: a restored server has no rights on production', async () => {
    const of = patient(TAKEOVER);
    const { postgres } = of.databases[0]?.config ?? {};
    if (postgres !== undefined) postgres.systemUser = 'holdfast-restore';
    expect(await failureOf(checkUsers, of)).toMatch(/shop and restored servers both run as holdfast-restore/);
  });
});

describe('the disk', () => {
  it('has to have space for the newest backup', async () => {
    expect(await failureOf(checkDisk, patient('', { databaseBytes: 1e18 }))).toMatch(
      /disk for shop: too little: .* free, 1000000000\.0 GB for shop and 1\.1 GB in reserve\nHINT: /,
    );
  });

  it('is one for instances and production', async () => {
    const of = patient('');
    Object.assign(of.loaded.config.sites.here ?? {}, { production: '/proc/here' });
    expect(await failureOf(checkDisk, of)).toMatch(
      /\/proc\/here is not on the disk of \/instances\nHINT: .*set sites\.here\.production/,
    );
  });
});

describe('the address', () => {
  let server: Server;
  let port: number;
  beforeAll(async () => {
    server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as { port: number }).port;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  it('must not be taken', async () => {
    expect(
      await failureOf(checkAddresses, patient(`takeover: {here: {address: 127.0.0.1, port: ${port}}}`)),
    ).toBe(
      `FAILED address of shop: something listens on 127.0.0.1 port ${port} already\nHINT: end it, or give databases.shop.takeover.here another port`,
    );
  });

  it('has to be of this machine, unless another one is listened on', async () => {
    const takeover = 'address: 192.0.2.1, port: 1, tls: {certFile: /c, keyFile: /k}';
    expect(await failureOf(checkAddresses, patient(`takeover: {here: {${takeover}}}`))).toMatch(
      /nothing can listen on 192\.0\.2\.1 port 1 here \(EADDRNOTAVAIL\)\nHINT: .*takeover\.here\.listen/,
    );
    expect(
      await linesOf(checkAddresses, patient(`takeover: {here: {${takeover}, listen: 127.0.0.1}}`)),
    ).toEqual(['OK address of shop: 127.0.0.1 port 1 is free']);
  });
});

it('names an endpoint that cannot be read', async () => {
  const endpoints = 'endpoints: [{file: {path: /no/such.env, url: DATABASE_URL}}]';
  expect(await linesOf(checkEndpoints, patient(endpoints))).toEqual([]);
  expect(await failureOf(checkEndpoints, patient(`${TAKEOVER}\n${endpoints}`))).toMatch(/\/no\/such\.env/);
});

it('looks for the program of a fence, and does not run it', async () => {
  const fence = (program: string) => patient(`${TAKEOVER}\nfence: {command: ['${program}', now]}`);
  expect(await linesOf(checkFences, fence('false'))).toEqual([expect.stringMatching(/^OK .*\/false$/)]);
  expect(await failureOf(checkFences, fence('no-such-program'))).toBe(
    'FAILED fence of shop: no-such-program is no program of this machine\nHINT: put it here, or correct databases.shop.fence.command',
  );
  expect(await linesOf(checkFences, patient(TAKEOVER))).toEqual([
    expect.stringMatching(/^OK .*no command: /),
  ]);
});

it('says that nobody serves the queues', async () => {
  const of = patient('');
  of.temporal = {
    reach: async () => 'there',
    requireServed: async (site, hosts) => {
      throw new HoldfastError('NoWorker', `nobody serves ${site} and ${hosts}`, { hint: 'start one' });
    },
  };
  expect(await linesOf(checkTemporal, of)).toEqual([
    'OK temporal: there',
    'FAILED workers: nobody serves here and db1\nHINT: start one',
  ]);
});
