import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseProgramVersion } from '../../../../src/engines/mysql/program-version.ts';
import { dumpPrograms, mysqlProgram, serverArguments } from '../../../../src/engines/mysql/programs.ts';

describe('what programs say of their version', () => {
  test.each([
    ['mysqld  Ver 8.0.31 for Linux on x86_64 (MySQL Community Server - GPL)', 'mysql', 800],
    ['/usr/sbin/mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu', 'mariadb', 1011],
    ['mysqldump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)', 'mariadb', 1011],
    ['mariadb-dump from 11.4.2-MariaDB, client 10.19 for Linux (x86_64)', 'mariadb', 1104],
    ['mysqldump  Ver 9.7.4-2 for Linux on x86_64 ((Debian))', 'mysql', 907],
  ])('%s', (said, flavour, series) => {
    expect(parseProgramVersion(said)).toMatchObject({ flavour, series });
  });

  test.each(['', 'mysqldump', 'pg_dump (PostgreSQL) 15.4', 'mysqldump Ver 10.19.2'])('%s: none', (said) => {
    expect(parseProgramVersion(said)).toBeNull();
  });
});

async function make(folder: string, name: string, version: string): Promise<void> {
  await writeFile(join(folder, name), `#!/bin/sh\necho '${name}  Ver ${version} for Linux'\n`);
  await chmod(join(folder, name), 0o755);
}

describe('where programs are', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hf-mysql-programs-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.each([
    [800, 'mysqld'],
    [1011, 'mariadbd'],
  ])('the server of %i is one of exactly that series, and told where its files are', async (series, name) => {
    const path = await mysqlProgram('mysqld', series);
    expect(path).toMatch(new RegExp(`^/.*/${name}$`));
    expect(await serverArguments(series)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^--basedir=/),
        expect.stringMatching(/^--lc-messages-dir=/),
        expect.stringMatching(/^--plugin-dir=/),
      ]),
    );
  });

  test('a missing one is named, with where to say it', async () => {
    await expect(mysqlProgram('mysqld', 850, { '8.50': folder })).rejects.toMatchObject({
      type: 'ToolMissing',
      hint: expect.stringContaining('tools.mysql."8.50"'),
    });
    await expect(dumpPrograms(1250)).rejects.toMatchObject({ type: 'ToolMissing' });
  });

  test('the configuration comes first', async () => {
    await symlink(await mysqlProgram('mysqld', 800), join(folder, 'mysqld'));
    expect(await mysqlProgram('mysqld', 800, { '8.0': folder })).toBe(await mysqlProgram('mysqld', 800));
  });

  test("Oracle's client programs are preferred for MySQL, the same series before a newer one", async () => {
    for (const name of ['mysqldump', 'mysql', 'mysqlbinlog']) await make(folder, name, '8.0.45');
    expect(await dumpPrograms(800, { '8.0': folder })).toEqual({
      dump: join(folder, 'mysqldump'),
      client: join(folder, 'mysql'),
      binlog: join(folder, 'mysqlbinlog'),
      flavour: 'mysql',
      version: '8.0.45',
      notices: [],
    });
  });

  test("Oracle's are taken where they are newer too, and come before MariaDB's", async () => {
    const newer = await mkdtemp(join(folder, 'newer-'));
    for (const name of ['mysqldump', 'mysql', 'mysqlbinlog']) await make(newer, name, '9.99.1');
    for (const [series, name] of [
      [800, '8.0'],
      [804, '9.99'],
    ] as const) {
      expect(await dumpPrograms(series, { [name]: newer })).toMatchObject({ flavour: 'mysql', notices: [] });
    }
    expect(await dumpPrograms(800, { '8.0': newer })).toMatchObject({ dump: join(newer, 'mysqldump') });
  });

  test("MariaDB's serve MySQL where their folder is named", async () => {
    const { dump } = await dumpPrograms(1011);
    const found = await dumpPrograms(800, { '8.0': dirname(dump) });
    expect(found).toMatchObject({ flavour: 'mariadb', dump });
    expect(found.notices).toHaveLength(1);
    // In words that this server has lost.
    await expect(dumpPrograms(999, { '9.99': dirname(dump) })).rejects.toMatchObject({ type: 'ToolMissing' });
  });

  test("MariaDB has its own client programs, and never Oracle's", async () => {
    expect(await dumpPrograms(1011, { '8.0': folder })).toMatchObject({
      flavour: 'mariadb',
      binlog: expect.stringMatching(/mariadb-binlog$/),
      notices: [],
    });
  });
});
