import { chmod, readFile, rename, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { layoutOf } from '../../src/client/dev/configuration.ts';
import type { Finding } from '../../src/doctor/check.ts';
import { PROBE_FOLDER } from '../../src/repository/layout.ts';
import { type Stack, startStack } from './stack.ts';

interface Answer {
  site?: string;
  ok: boolean;
  checks: Finding[];
}

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ second: true });
  await stack.holdfast('backup', 'shop', '--tier', 'physical', '--wait');
});
afterAll(async () => {
  await stack?.end();
});

const doctor = (...args: string[]) => stack.holdfast('doctor', '--site', 'second', ...args);

it('finds everything of the second site in place, line by line, and leaves nothing', async () => {
  const { code, stdout } = await doctor();
  expect(stdout).not.toMatch(/FAILED|HINT/);
  expect(code).toBe(0);
  const lines = stdout.split('\n');
  expect(lines.every((line) => line.startsWith('OK      '))).toBe(true);
  for (const part of [
    /configuration: \//,
    /takeover: shop can be taken over at second/,
    /secret repository\.cipher: is in the file /,
    /secret databases\.shop\.connection\.password: /,
    /repository, writing: /,
    /topology: no database was ever moved/,
    /backup tool for shop: pgBackRest .* reads \d+ backups? of stanza shop as holdfast-second/,
    /server programs for shop: PostgreSQL 15/,
    /user of restores: holdfast-second/,
    /user of shop: postgres/,
    /folder of production: .*on the same disk/,
    /disk for shop: .* free/,
    /address of shop: 127\.0\.0\.1 port \d+ is free/,
    /endpoint of shop: .*set to 127\.0\.0\.1:\d+/,
    /temporal: /,
    /workers: the queues of second/,
  ]) {
    expect(lines.filter((line) => part.test(line))).toHaveLength(1);
  }
  const left: string[] = [];
  for await (const { key } of stack.repository.list(PROBE_FOLDER)) left.push(key);
  expect(left).toEqual([]);
});

it('tries what nobody may do to the bucket, and repairs what somebody did', async () => {
  const repository = (...args: string[]) => stack.holdfast('repository', ...args);
  const checked = await repository('check');
  expect(checked.stdout).not.toMatch(/FAILED|HINT/);
  expect(checked).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('OK      writer: shortens a lock: refused'),
  });
  expect(checked.stdout.split('\n').at(-1)).toMatch(
    /^left behind, below delete markers and locked until .*doctor\/check-/,
  );

  expect(await repository('repair')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('nothing to repair'),
  });
  const keys: string[] = [];
  for await (const { key } of stack.repository.list('pgbackrest/backup/')) keys.push(key);
  for (const [index, key] of keys.entries())
    await (index % 2 === 0 ? stack.repository.remove(key) : stack.repository.put(key, 'forged'));
  expect(await repository('repair')).toMatchObject({ code: 2, stderr: expect.stringContaining('--dry-run') });
  const shown = await repository('repair', 'shop', '--dry-run', '--output', 'json');
  expect(shown.code).toBe(3);
  expect((JSON.parse(shown.stdout) as { mends: unknown[] }).mends.length).toBeGreaterThan(3);
  expect(await repository('repair', 'shop', '--yes')).toMatchObject({
    ...{
      code: 0,
      stdout: expect.stringMatching(
        /full \S+ of shop[\s\S]*removed \d+ delete markers, put \d+ versions back on top/,
      ),
    },
  });
  expect((await doctor()).code).toBe(0);
});

it('fails where a secret, the passphrase, the port and the endpoint are not as they should be', async () => {
  const { secrets, endpoint } = layoutOf(stack.directory);
  const { databases } = parse(await readFile(stack.config, 'utf8'));
  const squatter = createServer().listen(databases.shop.takeover.second.port, '127.0.0.1');
  const passphrase = await readFile(secrets.cipher, 'utf8');
  await writeFile(secrets.cipher, 'another one');
  for (const file of [secrets.password, endpoint]) await rename(file, `${file}.away`);
  try {
    const answer = await doctor('--output', 'json');
    expect(answer.code).toBe(1);
    const { site, ok, checks } = JSON.parse(answer.stdout) as Answer;
    expect({ site, ok }).toEqual({ site: 'second', ok: false });
    const failed = checks.filter((finding) => !finding.ok);
    expect(failed.map(({ check, detail, hint }) => `${check}: ${detail}\nHINT: ${hint}`)).toEqual([
      expect.stringMatching(
        /^secret databases\.shop\.connection\.password: .* cannot be read \(ENOENT\)\nHINT: /,
      ),
      expect.stringMatching(/^backup tool for shop: .*cannot be decrypted\nHINT: .*repository\.cipher/),
      expect.stringMatching(/^address of shop: something listens on 127\.0\.0\.1 port \d+ already\nHINT: /),
      expect.stringMatching(/^endpoint of shop: [\s\S]*\nHINT: /),
    ]);
    expect(answer.stdout).not.toContain('another one');
  } finally {
    squatter.close();
    await writeFile(secrets.cipher, passphrase);
    for (const file of [secrets.password, endpoint]) await rename(`${file}.away`, file);
  }
});

/** Of the whole installation; a client of this machine may be one that the doctor warns of. */
async function installation(
  ...args: string[]
): Promise<{ code: number; checks: Finding[]; failed: Finding[] }> {
  const { code, stdout } = await stack.holdfast('doctor', ...args, '--output', 'json');
  const { checks } = JSON.parse(stdout) as Answer;
  const isClient = ({ check, hint }: Finding) =>
    check === 'dump client for shop' && hint?.startsWith('update it; or take it as it is') === true;
  return { code, checks, failed: checks.filter((finding) => !finding.ok && !isClient(finding)) };
}

it('finds a whole installation in place, both sites by their own workers', async () => {
  await stack.json('schedules', 'apply');
  const { checks, failed } = await installation();
  expect(failed).toEqual([]);
  const names = checks.map(({ check }) => check);
  for (const name of [
    ...['node', 'temporal server', 'pgbackrest', 'zstd', 'server of shop', 'dump client for shop'],
    ...[
      'shop: connection',
      'shop: rights',
      'shop: archive settings',
      'shop: archiver',
      'shop: checks of copies',
    ],
    ...['repository, writing', 'bucket', 'store: versioning', 'store: object lock', 'store: storage classes'],
    ...['temporal', 'search attributes', 'retention of runs', 'workers', 'schedules'],
    ...['clock of S3', 'clock of shop', 'clock of Temporal'],
    ...['site local: disk for shop', 'site second: address of shop', 'site second: user of shop'],
  ]) {
    expect(names).toContain(name);
  }
  expect(checks.some(({ check }) => check === 'secret databases.shop.connection.password')).toBe(true);
});

it('fails where a version, a right, a secret, a schedule and the archiver are not as they should be', async () => {
  const { secrets } = layoutOf(stack.directory);
  const text = await readFile(stack.config, 'utf8');
  const config = parse(text);
  config.versions = { node: '1', postgres: '15', zstd: '9' };
  config.secrets = { places: ['file'], rotateAfter: '1s' };
  config.databases.shop.connection.user = 'small';
  // Its workers have read theirs.
  await writeFile(stack.config, stringify(config));
  await chmod(secrets.cipher, 0o644);
  await utimes(secrets.accessKeyId, 1, 1);
  const { production } = stack;
  const password = (await readFile(secrets.password, 'utf8')).trim();
  await production.query(`CREATE ROLE small LOGIN PASSWORD '${password}'`);
  await production.query("ALTER SYSTEM SET archive_command = 'false'");
  await production.query('SELECT pg_reload_conf()');
  await stack.temporal.schedule.getHandle('holdfast/verify/shop').delete();
  try {
    await production.query('SELECT pg_switch_wal()');
    const failing = 'SELECT last_failed_time > last_archived_time AS yes FROM pg_stat_archiver';
    await expect.poll(async () => (await production.query(failing)).rows[0]?.yes).toBe(true);
    const { code, failed } = await installation('shop');
    expect(code).toBe(1);
    const lines = failed.map(({ check, detail, hint }) => `${check}: ${detail} HINT: ${hint}`);
    for (const line of [
      /^node: node is \d.*, and 1 is pinned HINT: install 1, or change versions\.node/,
      /^zstd: zstd is 1\.\d.*, and 9 is pinned/,
      /^shop: rights: small lacks what reading every table needs HINT: GRANT pg_read_all_data TO "small";$/,
      /^shop: rights: small lacks what closing the current log needs HINT: GRANT EXECUTE ON FUNCTION pg_switch_wal\(\)/,
      /^shop: rights: small lacks what a physical backup needs HINT: GRANT EXECUTE ON FUNCTION pg_backup_start/,
      /^shop: archiver: it fails at [0-9A-F]{24} HINT: /,
      /^secret repository\.cipher: .* can be read by others \(mode 644\) HINT: chmod 600 /,
      /^secret repository\..*: .* was written .* ago, and secrets\.rotateAfter is 1s HINT: /,
      /^schedules: holdfast\/verify\/shop is missing, or not as configured HINT: holdfast schedules apply$/,
    ]) {
      expect(lines).toContainEqual(expect.stringMatching(line));
    }
    expect(lines.filter((line) => /^(?:server of shop|bucket|store|clock|temporal)/.test(line))).toEqual([]);
  } finally {
    await writeFile(stack.config, text);
    await production.query('ALTER SYSTEM RESET archive_command');
    await production.query('SELECT pg_reload_conf()');
    await production.query('DROP ROLE small');
    await chmod(secrets.cipher, 0o600);
    await stack.json('schedules', 'apply');
  }
});

it('says of a site without a worker that nobody could look there', async () => {
  await stack.killWorker();
  try {
    const { checks } = await installation();
    expect(checks).toContainEqual({
      check: 'site local',
      ok: false,
      detail: expect.stringMatching(/no worker (?:serves|answers on) (?:the )?task queue/),
      hint: expect.stringContaining('holdfast worker --roles'),
    });
  } finally {
    await stack.startWorker();
  }
});
