import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../src/client/dev/ports.ts';
import { stopPostgres } from '../../src/client/dev/postgres.ts';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import { verifyImport } from '../../src/engines/postgres/import/verify.ts';
import { postgresProgram } from '../../src/engines/postgres/programs.ts';
import { runTool } from '../../src/engines/process.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import { query, quietly, type SidesServer, startSides } from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

/** A standby at the moment of its base backup, which nothing moves on: as a replay leaves it. */
async function startStandby(): Promise<{ access: ServerAccess; stop: () => Promise<void> }> {
  const dataDirectory = join(server.directory, 'postgres', 'standby');
  const port = await freePort();
  const as = { signal: quietly.signal, user: 'postgres' };
  const { host, port: from, user, password } = server.access;
  await runTool(
    await postgresProgram('pg_basebackup', 15),
    ['-h', host, '-p', String(from), '-U', user, '-D', dataDirectory, '-c', 'fast', '-X', 'stream'],
    { ...as, env: { PGPASSWORD: password ?? '' } },
  );
  await writeFile(join(dataDirectory, 'standby.signal'), '');
  await runTool(
    await postgresProgram('pg_ctl', 15),
    [
      'start',
      '-D',
      dataDirectory,
      '-w',
      '-l',
      join(server.directory, 'postgres', 'standby.log'),
      '-o',
      `-c port=${port}`,
    ],
    as,
  );
  return {
    access: { ...server.access, port },
    stop: () => stopPostgres({ dataDirectory, major: 15, systemUser: 'postgres' }),
  };
}

test('rows come back out of a standby, on which nothing at all can be written', async () => {
  const sides =
    await server.make(`CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text UNIQUE);
    CREATE TABLE c (id serial, name text COLLATE "de-x-icu" PRIMARY KEY, p int REFERENCES p);
    INSERT INTO p (code) SELECT 'k' || n FROM generate_series(1, 500) n;
    INSERT INTO c (name, p) SELECT 'Ä ' || n, 1 + n % 500 FROM generate_series(1, 12000) n`);
  const standby = await startStandby();
  try {
    await sides.live('DELETE FROM c; DELETE FROM p WHERE id > 100');
    const restored = { ...standby.access, database: sides.production.database };
    await expect(query(restored, 'CREATE TEMPORARY TABLE x (a int)')).rejects.toMatchObject({
      code: '25006',
    });
    const plan = await sides.plan(['public.p', 'public.c'], undefined, restored);
    expect((await importRows(plan, quietly)).tables.map(({ inserted }) => inserted)).toEqual([12_000, 400]);
    expect((await verifyImport(plan, quietly)).filter(({ verdict }) => verdict !== 'pass')).toEqual([]);
    const content = `SELECT (SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM c t) AS c, (SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM p t) AS p`;
    expect(await sides.live(content)).toEqual(await query(restored, content));
  } finally {
    await standby.stop();
  }
});
