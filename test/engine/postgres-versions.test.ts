import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningPostgres, startPostgres } from '../../src/client/dev/postgres.ts';
import { withClientEnvironment, withConnection } from '../../src/engines/postgres/connection.ts';
import { dump } from '../../src/engines/postgres/dump.ts';
import { fingerprint } from '../../src/engines/postgres/fingerprint.ts';
import { dumpPrograms } from '../../src/engines/postgres/programs.ts';
import { canonicalSchema } from '../../src/engines/postgres/schema.ts';
import { runTool, startTool } from '../../src/engines/process.ts';
import type { Run } from '../../src/model/progress.ts';
import { fileSink } from './postgres-file-sink.ts';
import { HARD_SCHEMA } from './postgres-hard-schema.ts';

const run: Run = { signal: new AbortController().signal, progress: () => {} };

describe.each([13, 14, 15, 16, 17])('PostgreSQL %i', (major) => {
  let folder: string;
  let server: RunningPostgres;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-versions-'));
    await chmod(folder, 0o755);
    server = await startPostgres({
      ...{ directory: join(folder, 'pg'), port: 0, major, systemUser: 'postgres' },
      ...{ password: 'secret', database: 'shop' },
    });
    await withConnection(server.access, { signal: run.signal, applicationName: 'test' }, (client) =>
      client.query(HARD_SCHEMA),
    );
  });

  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('dumps and comes back with every fingerprint equal', async () => {
    const result = await dump({ access: server.access, sink: fileSink(folder), fingerprints: true }, run);
    expect(result.facts.major).toBe(major);
    const shop = result.databases.find(({ name }) => name === 'shop');
    const fingerprints = shop?.fingerprints;
    if (fingerprints === null || fingerprints === undefined) throw new Error('no fingerprints');
    expect(fingerprints.tables.map(({ table, rows }) => [table, rows])).toEqual([
      ['"Odd ""Schema"""."Order; ""x"""', 50],
      ['public.base', 1],
      ['public.child', 1],
      ['public.empty_table', 0],
      ['public.events_1', 31],
      ['public.events_2', 29],
      ['public.hard', 500],
      ['public.no_columns', 1],
      ['public.scratch', 1],
    ]);
    expect(result.notices.join('\n')).toContain('1 large objects are in the dump');

    const restored = { ...server.access, database: 'copy' };
    const programs = await dumpPrograms(major);
    await withConnection(server.access, { signal: run.signal, applicationName: 'test' }, async (client) => {
      await client.query('CREATE DATABASE copy TEMPLATE template0');
      // OIDs of the copy's enum must differ, or a hash of them would go unnoticed.
      await client.query("CREATE TYPE public.shift AS ENUM ('a')");
    });
    await withClientEnvironment(restored, async (env) => {
      const zstd = startTool('zstd', ['-dc', join(folder, 'shop.dump.zst')], { ...run, stdout: 'pipe' });
      const restoring = runTool(programs.pgRestore, ['--dbname=copy', '--no-password'], {
        ...run,
        env,
        stdin: zstd,
      });
      // pg_restore 17 sets a parameter that 16 does not know, says so and goes on.
      if (programs.major <= 16 || programs.major === major) await restoring;
      else await expect(restoring).rejects.toThrow(/transaction_timeout.*errors ignored on restore: 1$/);
      await zstd.finished;
    });
    const copy = await fingerprint(restored, { hash: fingerprints.hash, tables: null }, run);
    expect(copy.tables).toEqual(fingerprints.tables);
    const schema = await withConnection(restored, { ...run, applicationName: 'test' }, canonicalSchema);
    expect(schema.text).toBe(await readFile(join(folder, 'shop.schema.txt'), 'utf8'));
    expect(copy.schemaSha256).toBe(fingerprints.schemaSha256);

    await withConnection(restored, { signal: run.signal, applicationName: 'test' }, (client) =>
      client.query(`UPDATE public.hard SET m = 'sad' WHERE id = 1 AND m <> 'sad'`),
    );
    const changed = await fingerprint(restored, { hash: fingerprints.hash, tables: ['public.hard'] }, run);
    const before = fingerprints.tables.find(({ table }) => table === 'public.hard');
    expect(changed.tables[0]?.rows).toBe(before?.rows);
    expect(changed.tables[0]?.checksum).not.toBe(before?.checksum);
  });
});
