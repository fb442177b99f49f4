import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningPostgres, startPostgres } from '../../src/client/dev/postgres.ts';
import type { ObjectSink } from '../../src/engines/contract/backup.ts';
import { withConnection } from '../../src/engines/postgres/connection.ts';
import { dump } from '../../src/engines/postgres/dump.ts';
import { fingerprint } from '../../src/engines/postgres/fingerprint.ts';
import { logicalInstructions } from '../../src/engines/postgres/instructions.ts';
import { dumpPrograms } from '../../src/engines/postgres/programs.ts';
import { resolveTables } from '../../src/engines/postgres/resolve.ts';
import type { Manifest } from '../../src/model/backup.ts';
import type { Run } from '../../src/model/progress.ts';
import { openSink } from '../../src/repository/sink.ts';
import { fileSink } from './postgres-file-sink.ts';
import { HARD_SCHEMA } from './postgres-hard-schema.ts';
import { type RepositoryFixture, startRepository } from './repository/fixture.ts';
import { blocksOf } from './restore-document.ts';

const AWS = fileURLToPath(new URL('./postgres-aws.ts', import.meta.url));
const run: Run = { signal: new AbortController().signal, progress: () => {} };

let folder: string;
let server: RunningPostgres;
let target: RunningPostgres;
let fixture: RepositoryFixture;

const sql = <T>(work: (client: pg.Client) => Promise<T>, at = server.access) =>
  withConnection(at, { signal: run.signal, applicationName: 'test' }, work);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-logical-'));
  await chmod(folder, 0o755);
  const start = (name: string) =>
    startPostgres({
      ...{ directory: join(folder, name), port: 0, major: 15, systemUser: 'postgres' },
      ...{ password: `secret of ${name}`, database: 'shop' },
    });
  server = await start('pg');
  target = await start('target');
  await sql((client) =>
    client.query(`${HARD_SCHEMA}; CREATE ROLE reader LOGIN PASSWORD 'readers secret';
    CREATE TABLE public.big AS SELECT i, repeat(md5(i::text), 20) AS filler FROM generate_series(1, 60000) i;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader`),
  );
  fixture = await startRepository();
});

afterAll(async () => {
  await fixture?.dispose();
  await server?.stop();
  await target?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Pids of programs of this name that this test process started. */
function children(name: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        return stat.includes(`(${name})`) && Number(parent) === process.pid && state !== 'Z';
      } catch {
        return false;
      }
    });
}

/** Calls `then` at the first bytes of the dump of `shop`, and lets them flow on. */
function interrupted(sink: ObjectSink, then: () => void | Promise<void>): ObjectSink {
  return {
    put(name, content, options) {
      if (name !== 'shop.dump.zst') return sink.put(name, content, options);
      let first = true;
      async function* watched() {
        for await (const piece of content) {
          if (first) {
            first = false;
            await then();
          }
          yield piece;
        }
      }
      return sink.put(name, watched() as never, options);
    },
  };
}

describe('a dump that does not end well leaves no object', () => {
  const attempt = async (then: () => void | Promise<void>, signal = run.signal, access = server.access) => {
    const into = await mkdtemp(join(folder, 'sink-'));
    const sink = fileSink(into);
    const error = await dump(
      { access, sink: interrupted(sink, then), fingerprints: true },
      { ...run, signal },
    ).then(
      () => null,
      (cause: unknown) => cause,
    );
    return { error, left: (await sink.names()).filter((name) => name.startsWith('shop')) };
  };

  it('when pg_dump is killed half way', async () => {
    const { error, left } = await attempt(() => {
      const [pid] = children('pg_dump');
      expect(pid).toBeDefined();
      process.kill(pid as number, 'SIGKILL');
    });
    expect(error).toMatchObject({
      type: 'ToolFailed',
      message: expect.stringContaining('pg_dump ended with signal SIGKILL'),
    });
    expect(left).toEqual([]);
  });

  it('when zstd is killed half way, and blames zstd', async () => {
    const { error, left } = await attempt(() => {
      process.kill(children('zstd')[0] as number, 'SIGKILL');
    });
    expect(error).toMatchObject({
      type: 'ToolFailed',
      message: expect.stringContaining('zstd ended with signal SIGKILL'),
    });
    expect(left).toEqual([]);
    expect(children('pg_dump')).toEqual([]);
  });

  it('when the server ends the session', async () => {
    const { error, left } = await attempt(async () => {
      await sql((client) =>
        client.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'`,
        ),
      );
    });
    expect(error).toMatchObject({ type: 'ConnectionFailed' });
    expect(left).toEqual([]);
  });

  it('when the rows cannot be counted', async () => {
    const { error, left } = await attempt(async () => {
      await sql((client) =>
        client.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holdfast fingerprint'`,
        ),
      );
    });
    // A small table may have been counted by then.
    if (error !== null) {
      expect(error).toMatchObject({ type: 'ConnectionFailed' });
      expect(left).toEqual([]);
    }
  });

  it('when it is cancelled: it ends with the reason, after its processes', async () => {
    const cancel = new AbortController();
    const { error, left } = await attempt(() => cancel.abort(new Error('no longer wanted')), cancel.signal);
    expect(error).toMatchObject({ message: 'no longer wanted' });
    expect(left).toEqual([]);
    expect([...children('pg_dump'), ...children('zstd')]).toEqual([]);
  });

  it('when the password is wrong, without a word of it', async () => {
    const access = { ...server.access, password: 'not the secret' };
    const { error } = await attempt(() => {}, run.signal, access);
    expect(error).toMatchObject({
      type: 'AuthenticationFailed',
      hint: expect.stringContaining('user postgres'),
    });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('not the secret');
  });

  it('when the server is away', async () => {
    const { error } = await attempt(() => {}, run.signal, { ...server.access, port: 1 });
    expect(error).toMatchObject({
      type: 'ConnectionFailed',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

it('keeps TRUNCATE and DROP out from before the snapshot until the last row is counted', async () => {
  const sink = fileSink(await mkdtemp(join(folder, 'sink-')));
  let refused = '';
  await dump(
    {
      access: server.access,
      fingerprints: true,
      sink: interrupted(sink, async () => {
        await sql((client) => client.query(`SET lock_timeout = '100ms'; TRUNCATE public.hard`)).catch(
          (error: { type?: string }) => {
            refused = error.type ?? '';
          },
        );
      }),
    },
    run,
  );
  expect(refused).toBe('LockNotAvailable');
});

it('sees a table whole that is truncated and filled again while the dump begins', async () => {
  const sink = fileSink(await mkdtemp(join(folder, 'sink-')));
  await sql(async (client) => {
    await client.query('CREATE TABLE public.refilled AS SELECT i FROM generate_series(1, 5) i');
    await client.query('BEGIN; TRUNCATE public.refilled; INSERT INTO public.refilled VALUES (1), (2), (3)');
    const dumping = dump({ access: server.access, sink, fingerprints: true }, run);
    for (let waiting = false; !waiting; ) {
      const { rowCount } = await client.query('SELECT FROM pg_locks WHERE NOT granted');
      waiting = (rowCount ?? 0) > 0;
    }
    await client.query('COMMIT');
    const { databases } = await dumping;
    const shop = databases.find(({ name }) => name === 'shop')?.fingerprints;
    expect(shop?.tables.find(({ table }) => table === 'public.refilled')?.rows).toBe(3);
    await client.query('DROP TABLE public.refilled');
  });
});

describe('RESTORE.md', () => {
  it('restores by its own commands, with every fingerprint equal', async () => {
    const repository = await fixture.open();
    const result = await dump(
      {
        access: server.access,
        sink: openSink(repository, 'logical/shop/b1/a1/', { ...run, lockedUntil: null }),
        fingerprints: true,
      },
      run,
    );
    const manifest: Manifest = {
      ...{ formatVersion: 1, id: 'b1', database: 'shop', engine: 'postgres', tier: 'logical', kind: 'full' },
      ...{
        startedAt: '2026-01-31T01:00:00Z',
        finishedAt: '2026-01-31T01:01:00Z',
        sizeBytes: 1,
        dependsOn: [],
      },
      ...{ databaseBytes: result.facts.totalBytes, lockedUntil: null, serverVersion: result.facts.version },
      ...{
        systemIdentifier: null,
        tools: result.tools,
        encryption: { kmsKeyId: null, repositoryCipher: false },
      },
      ...{
        positions: result.positions,
        databases: result.databases,
        globals: result.globals,
        instructions: null,
      },
      ...{ notices: result.notices, madeBy: { workflowId: 'w', runId: 'r' } },
    };
    // A delete marker on top must not stop a restore.
    for (const { objects } of manifest.databases)
      await repository.remove((objects[0] as { key: string }).key);

    const text = logicalInstructions(manifest, fixture.config);
    const blocks = blocksOf(text).join('\n');
    const place = join(folder, 'by-hand');
    await mkdir(place);
    await writeFile(join(place, 'restore.sh'), blocks);
    const programs = await dumpPrograms(15);
    const output = execFileSync('sh', ['-c', `aws() { node ${AWS} "$@"; }; . ./restore.sh`], {
      cwd: place,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...{ PATH: `${join(programs.psql, '..')}:${join(process.execPath, '..')}:${process.env.PATH}` },
        ...{ NODE_EXTRA_CA_CERTS: fixture.server.caFile, LC_ALL: 'C.UTF-8' },
        AWS_ACCESS_KEY_ID: fixture.server.accessKeyId,
        AWS_SECRET_ACCESS_KEY: fixture.server.secretAccessKey,
        ...{ PGHOST: '127.0.0.1', PGPORT: String(target.access.port), PGUSER: 'postgres' },
        PGPASSWORD: 'secret of target',
      },
    });
    const counts = [...output.matchAll(/\| +(\d+) \| +(\d+)$/gm)].map(([, expected, found]) => [
      expected,
      found,
    ]);
    expect(counts.length).toBeGreaterThanOrEqual(10);
    for (const [expected, found] of counts) expect(found).toBe(expected);

    const wanted = result.databases.find(({ name }) => name === 'shop')?.fingerprints;
    const restored = await fingerprint(target.access, { hash: wanted?.hash ?? '', tables: null }, run);
    expect(restored.tables).toEqual(wanted?.tables);
    expect(restored.schemaSha256).toBe(wanted?.schemaSha256);
    const reader = { ...target.access, user: 'reader', password: 'readers secret' };
    expect(
      await sql((client) => client.query('SELECT count(*)::int AS n FROM public.big'), reader),
    ).toMatchObject({
      rows: [{ n: 60_000 }],
    });
  });
});

describe('table names', () => {
  const resolve = (...tables: string[]) => resolveTables(server.access, tables, run);

  it('are resolved as they are written', async () => {
    expect(
      await resolve('public.hard', 'hard', 'shop.public.events', '"Odd ""Schema"""."Order; ""x"""'),
    ).toEqual(['public.hard', 'public.events', '"Odd ""Schema"""."Order; ""x"""']);
  });

  it.each([
    ['public.hrad', /did you mean public.hard/],
    ['public.Hard', /did you mean public.hard/],
    ['sales.events', /did you mean public.events(?!.*search path)/],
    ['"Order; ""x"""', /"Odd ""Schema"""\..*\? A name without a schema means schema public/],
    ['public.moods', /name the tables/],
    ['public.nothing_like_it_at_all', /no table with a similar name/],
  ])('%s is refused with a hint', async (name, hint) => {
    await expect(resolve(name)).rejects.toMatchObject({
      type: 'UnknownTable',
      hint: expect.stringMatching(hint),
    });
  });

  it('of another db are refused', async () => {
    await expect(resolve('other.public.hard')).rejects.toMatchObject({ type: 'NotSupported' });
  });
});
