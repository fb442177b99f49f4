import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type CliEnvironment, createCliEnvironment } from './cli-environment.ts';

let cli: CliEnvironment;
beforeAll(async () => {
  cli = await createCliEnvironment();
});
afterAll(async () => {
  await cli?.close();
});

const PITR = ['restore', 'pitr'];
const REASON = ['--reason', 'INC-42'];
const AT = ['--time', '2026-01-31T14:05:00Z'];

async function refused(given: string[], code: number): Promise<Answer> {
  const answer = await cli.holdfast(...given);
  expect(answer.error).toMatch(/\nHINT: /);
  expect(answer.code).toBe(code);
  expect(answer.out).toBe('');
  return answer;
}

describe('what is refused before anything is started', () => {
  it.each([
    [
      'a time without an offset',
      ['shop', '--time', '2026-01-31T14:05:00', ...REASON],
      /offset[\s\S]*--time 2026-01-31T14:05:00Z/,
    ],
    ['no target', ['shop', ...REASON], /no target is given\nHINT: .*--time, --lsn/],
    ['two targets', ['shop', '--latest', ...AT, ...REASON], /--time and --latest exclude each other/],
    ['an LSN that is none', ['shop', '--lsn', 'x', ...REASON], /--lsn x: must be an LSN/],
    ['no reason', ['shop', ...AT], /required option '--reason/],
    ['an unknown database', ['shpo', ...AT, ...REASON], /no database "shpo"[\s\S]*do you mean shop/],
    [
      'an unknown site',
      ['shop', ...AT, ...REASON, '--site', 'moon'],
      /no site "moon"\nHINT: the sites are local, second/,
    ],
    [
      'a conflict rule that there is not',
      ['shop', ...AT, ...REASON, '--conflict', 'overwrite'],
      /insert-missing, restore-changed, replace, side-by-side/,
    ],
    [
      'an export of nothing',
      ['shop', ...AT, ...REASON, '--export', 'csv:repository'],
      /an export needs tables/,
    ],
    [
      'an export to nowhere',
      ['shop', ...AT, ...REASON, '--table', 'x', '--export', 'csv:here'],
      /export: must be csv:repository/,
    ],
    [
      'a part of a dump',
      ['shop', ...AT, ...REASON, '--table', 'x', '--export', 'dump:repository', '--conflict', 'replace'],
      /conflict has no meaning/,
    ],
    [
      'a duration that is none',
      ['shop', ...AT, ...REASON, '--keep-instance', 'long'],
      /keepInstance: must be a duration/,
    ],
    [
      'an unknown option',
      ['shop', ...AT, ...REASON, '--tabel', 'x'],
      /unknown option '--tabel'[\s\S]*did you mean --table/,
    ],
  ])('%s', async (_what, given, expected) => {
    expect((await refused([...PITR, ...given], 2)).error).toMatch(expected);
  });

  it.each([
    ['no site', ['shop', ...REASON], /required option '--site/],
    [
      'an unknown site',
      ['shop', '--site', 'moon', ...REASON],
      /no site "moon"\nHINT: the sites are local, second/,
    ],
    ['an unknown database', ['shpo', '--site', 'second', ...REASON], /do you mean shop/],
    [
      'a site that is not made to take it over',
      ['shop', '--site', 'local', ...REASON],
      /shop has no takeover at site local[\s\S]*HINT: add databases\.shop\.takeover: \{local: /,
    ],
    ['two targets', ['shop', '--site', 'second', '--latest', ...AT, ...REASON], /exclude each other/],
    ['half a target', ['shop', '--site', 'second', '--exclusive', ...REASON], /no target is given/],
    ['tables', ['shop', '--site', 'second', '--table', 'x', ...REASON], /unknown option '--table'/],
  ])('a disaster recovery with %s', async (_what, given, expected) => {
    const { error } = await cli.holdfast('restore', 'full', ...given);
    expect(error).toMatch(expected);
    expect((await cli.holdfast('list')).out).toBe('no runs');
  });

  it('refuses a disaster recovery where nobody would do it', async () => {
    const full = await refused(['restore', 'full', 'shop', '--site', 'second', ...REASON], 1);
    expect(full.error).toMatch(
      /no worker serves the task queues holdfast, holdfast-site-second, holdfast-host-second/,
    );
  });

  it('names the queues that nobody serves, and the worker that would', async () => {
    const restore = await refused([...PITR, 'shop', ...AT, ...REASON], 1);
    expect(restore.error).toMatch(
      /no worker serves the task queues holdfast, holdfast-site-local, holdfast-host-local\nHINT: .*holdfast worker --roles control,site:local,host:local/,
    );
    const backup = await refused(['backup', 'shop', '--tier', 'logical'], 1);
    expect(backup.error).toMatch(/holdfast, holdfast-host-local/);
    // S3 does the copying: no host is needed.
    const snapshot = await refused(['backup', 'shop', '--tier', 'snapshot'], 1);
    expect(snapshot.error).toMatch(/no worker serves the task queue holdfast\n/);
    expect((await cli.holdfast('list')).out).toBe('no runs');
  });

  it('refuses what a backup cannot be', async () => {
    for (const tier of ['logical', 'snapshot']) {
      const { error } = await refused(['backup', 'shop', '--tier', tier, '--kind', 'diff'], 2);
      expect(error).toContain(`a ${tier} backup is always whole`);
    }
    expect((await refused(['backup', 'shop', '--tier', 'tape'], 2)).error).toMatch(/physical/);
  });

  it('says that there is no such run', async () => {
    for (const given of [['status'], ['connect'], ['approve'], ['resume'], ['undo', ...REASON]]) {
      const [command = '', ...options] = given;
      expect((await refused([command, 'pitr/shpo/none', ...options], 2)).error).toMatch(
        /^there is no workflow pitr\/shpo\/none\n/m,
      );
    }
    expect((await refused(['retarget', 'pitr/shpo/none', '--latest'], 2)).error).toMatch(
      /^there is no running workflow pitr\/shpo\/none: there is none, or it has ended\n/,
    );
  });

  it('suggests the command that was meant, in JSON too', async () => {
    expect((await refused(['statsu'], 2)).error).toMatch(/did you mean status/);
    const json = await cli.holdfast('statsu', '--output', 'json');
    expect(json.code).toBe(2);
    expect(JSON.parse(json.error).error).toMatchObject({
      type: 'InvalidInput',
      hint: expect.stringMatching(/status/),
    });
  });

  it('never hands a name on to the query language', async () => {
    expect((await refused(['list', '--database', "x' OR 'y'='y"], 2)).error).toMatch(
      /not the name of a database/,
    );
  });
});

describe('without the servers', () => {
  it('prints the url of a database without its password', async () => {
    const { out, code } = await cli.holdfast('connect', 'shop', '--print');
    expect(code).toBe(0);
    expect(out).toBe('postgresql://holdfast@127.0.0.1:9/shop?sslmode=disable');
  });

  it('opens psql there with the password out of sight', async () => {
    const answer = await cli.holdfast('connect', 'shop', '--', '-c', 'SELECT 1');
    expect(answer.code).toBe(1);
    expect(answer.error).toMatch(/127\.0\.0\.1.* port 9 failed: Connection refused/);
    expect(answer.error + answer.out).not.toContain('not-told');
  });

  it('says that the repository is away', async () => {
    const catalog = await cli.holdfast('catalog', 'shop');
    expect(catalog.code).toBe(1);
    expect(catalog.error).toMatch(/127\.0\.0\.1:9[\s\S]*HINT: /);
    const all = await cli.holdfast('status', '--all');
    expect(all.code).toBe(1);
    expect(all.out).toMatch(/shop .*UNKNOWN/);
    expect(all.out).toMatch(/what the repository holds of shop cannot be read: .*127\.0\.0\.1:9/);
    expect(all.out).toMatch(/none of the \d+ schedules is in Temporal[\s\S]*holdfast schedules apply/);
    expect(all.out).toContain('nothing is running');
  });

  it('writes the runbooks of a database as documents, though everything is away', async () => {
    const folder = join(dirname(cli.config), 'runbooks');
    const { out, error, code } = await cli.holdfast('runbook', 'shop', '--out', folder);
    expect(error).toMatch(/^note: the times of earlier runs could not be read: /m);
    expect(code).toBe(0);
    expect(out.split('\n')).toHaveLength(3);
    const text = await readFile(join(folder, 'shop-point-in-time-recovery.md'), 'utf8');
    expect(text).toContain(
      `holdfast restore pitr shop --lsn "$LSN" --exclusive --table "$TABLE" --reason "$REASON" --config`,
    );
    expect(text).not.toContain('not-told');
  });

  it('has help with an example for every command', async () => {
    const help = await cli.holdfast('--help');
    const names = [...help.out.matchAll(/^ {2}([a-z]+) {2,}/gm)].map((match) => match[1] as string);
    expect(names).toEqual(
      expect.arrayContaining(['backup', 'catalog', 'restore', 'approve', 'status', 'worker']),
    );
    for (const name of [
      'backup',
      'catalog',
      'connect',
      'approve',
      'reject',
      'retarget',
      'resume',
      'status',
      'list',
      'runbook',
      'undo',
      'find',
      'init',
      'config check',
      'restore pitr',
      'restore table',
      'restore full',
      'schedules apply',
      'schedules list',
      'dev up',
      'dev down',
      'dev status',
      'doctor',
      'worker',
    ]) {
      const { out, code } = await cli.holdfast(...name.split(' '), '--help');
      expect(code).toBe(0);
      expect(out).toMatch(new RegExp(`Examples?:\\n {2}holdfast ${name}`));
      expect(out).toMatch(/--output[\s\S]*--config|--config[\s\S]*--output/);
    }
  });
});
