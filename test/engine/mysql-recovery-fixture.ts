import { createReadStream } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { LogicalDump } from '../../src/engines/contract/backup.ts';
import type {
  DumpSource,
  InstancePlace,
  ReplayResult,
  ReplayShippedInput,
  RestoreDumpsInput,
} from '../../src/engines/contract/restore.ts';
import type { ShippedContent } from '../../src/engines/contract/ship.ts';
import { type Connection, withConnection } from '../../src/engines/mysql/connection.ts';
import { dump } from '../../src/engines/mysql/dump.ts';
import { flavourOf, showBinlogStatus } from '../../src/engines/mysql/flavour.ts';
import { replay } from '../../src/engines/mysql/replay.ts';
import { restore } from '../../src/engines/mysql/restore.ts';
import { stop } from '../../src/engines/mysql/server.ts';
import type { InstanceRecord } from '../../src/instances/instance.ts';
import { localInstances } from '../../src/instances/local.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import type { StoredObject } from '../../src/model/backup.ts';
import type { Run } from '../../src/model/progress.ts';
import type { Target } from '../../src/model/target.ts';
import { type MysqlServer, quietly, type Settings, startMysql } from './mysql-server.ts';
import { fileSink } from './postgres-file-sink.ts';
import { RESTORE_USER } from './postgres-recovery-fixture.ts';

export { quietly, RESTORE_USER };

/** A logical backup of every db, with where it stands in the log. */
export interface Base {
  id: string;
  from: { position: string; gtid: string | null };
  dumps: DumpSource[];
  globals: string | null;
  dumped: LogicalDump;
  /** holds what was stored */
  folder: string;
}

export interface Recovery {
  directory: string;
  production: MysqlServer;
  sql<T = Record<string, unknown>>(...statements: string[]): Promise<T[]>;
  /** dumps every db */
  base(options?: { fingerprints?: boolean }): Promise<Base>;
  /** where the log stands now */
  position(): Promise<string>;
  gtids(): Promise<string | null>;
  /** closes the current log; gives the closed ones from that of the base on, kept in a folder as they are now */
  logs(base: Base): Promise<ShippedContent[]>;
  /** of these, with changed bytes */
  changed(log: ShippedContent, change: (bytes: Buffer) => Buffer): Promise<ShippedContent>;
  provision(id: string): Promise<InstanceRecord>;
  remove(id: string): Promise<void>;
  end(): Promise<void>;
}

export async function startRecovery(series: string, settings: Settings = {}): Promise<Recovery> {
  const directory = await mkdtemp(join(tmpdir(), 'hf-recovery-'));
  await chmod(directory, 0o755);
  // Else MariaDB's template has accounts that the server does not know of itself.
  const production = await startMysql({ series, settings: { 'skip-name-resolve': 'OFF', ...settings } });
  const site = localInstances({
    ...{ site: 'local', host: 'here', directory: join(directory, 'site') },
    ...{ user: RESTORE_USER, reserveBytes: 0 },
  });
  const isMysql = flavourOf(production.series) === 'mysql';
  const sql: Recovery['sql'] = (...statements) => production.run(statements);
  let count = 0;

  const status = (session: Connection) =>
    session
      .query<{ File: string; Position: number }>(showBinlogStatus(session.server))
      .then(([row]) => `${row?.File}:${row?.Position}`);
  const gtidsOf = async (session: Connection) => {
    const name = isMysql
      ? "IF(@@gtid_mode = 'OFF', NULL, @@GLOBAL.gtid_executed)"
      : '@@GLOBAL.gtid_binlog_pos';
    const [row] = await session.query<{ g: string | null }>(`SELECT ${name} AS g`);
    return row?.g?.replaceAll(/\s/g, '') ?? null;
  };
  const recovery: Recovery = {
    ...{ directory, production, sql },
    async base({ fingerprints = false } = {}) {
      count += 1;
      const id = `base-${count}`;
      const folder = join(directory, id);
      await mkdir(folder);
      const dumped = await dump({ access: production.access, sink: fileSink(folder), fingerprints }, quietly);
      const { stop: position, gtid = null } = dumped.positions;
      return {
        ...{ id, dumped, folder, from: { position: position as string, gtid } },
        dumps: dumped.databases.map(({ name, objects }) => sourceOf(folder, name, objects)),
        globals: await readFile(join(folder, 'globals.sql'), 'utf8'),
      };
    },
    position: () => withConnection(production.access, quietly, status),
    gtids: () => withConnection(production.access, quietly, gtidsOf),
    async logs({ from }) {
      await sql('FLUSH BINARY LOGS');
      const first = from.position.split(':')[0] as string;
      const names = (await readdir(production.dataDirectory))
        .filter((name) => /^binlog\.\d+$/.test(name))
        .sort();
      count += 1;
      const kept: ShippedContent[] = [];
      for (const name of names.filter((one) => one >= first).slice(0, -1)) {
        const path = join(directory, `${count}-${name}`);
        await copyFile(join(production.dataDirectory, name), path);
        kept.push(await contentOf(name, path));
      }
      return kept;
    },
    async changed(log, change) {
      count += 1;
      const path = join(directory, `${count}-changed`);
      const pieces: Buffer[] = [];
      for await (const piece of log.open(quietly.signal)) pieces.push(piece as Buffer);
      await writeFile(path, change(Buffer.concat(pieces)));
      return contentOf(log.name, path);
    },
    provision: (id) =>
      site.provision({
        ...{ id, database: 'shop', engine: 'mysql' as const, expiresAt: '2099-01-01T00:00:00Z' },
        owner: { workflowId: 'pitr/shop/test', runId: 'r' },
      }),
    async remove(id) {
      await site.remove(id, { stop: (record) => stop(record) });
    },
    async end() {
      for (const { id } of await site.list()) await recovery.remove(id);
      await production.end();
      await rm(directory, { recursive: true, force: true });
    },
  };

  return recovery;
}

function sourceOf(folder: string, database: string, objects: readonly StoredObject[]): DumpSource {
  return {
    database,
    sizeBytes: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    open: () => Readable.from(piecesOf(objects.map(({ key }) => join(folder, key))), { objectMode: false }),
  };
}

async function* piecesOf(paths: readonly string[]): AsyncGenerator<Buffer> {
  for (const path of paths) yield* createReadStream(path) as AsyncIterable<Buffer>;
}

async function contentOf(name: string, path: string): Promise<ShippedContent> {
  return { name, sizeBytes: (await stat(path)).size, open: () => createReadStream(path) };
}

export function restoreInput(recovery: Recovery, place: InstancePlace, base: Base): RestoreDumpsInput {
  const { id, dumps, globals } = base;
  return { place, backup: id, serverMajor: recovery.production.series, globals, dumps };
}

export function replayInput(
  recovery: Recovery,
  place: InstancePlace,
  base: Base,
  target: Target,
  logs: ShippedContent[],
): ReplayShippedInput {
  const { from } = base;
  return { place, serverMajor: recovery.production.series, target, from, logs, database: 'shop' };
}

/** Restores and replays at a place. */
export async function recover(
  recovery: Recovery,
  place: InstancePlace,
  base: Base,
  target: Target,
  logs: ShippedContent[],
  run: Run = quietly,
): Promise<ReplayResult> {
  await restore(restoreInput(recovery, place, base), run);
  return replay(replayInput(recovery, place, base, target, logs), run);
}

/** The first column of the one row of a query, as text. */
export async function value(access: ServerAccess, text: string): Promise<string> {
  const [row] = await withConnection(access, quietly, (session) =>
    session.query<Record<string, unknown>>(text),
  );
  return String(Object.values(row ?? {})[0]);
}

/** Processes that have a folder in their arguments. */
export async function processesWith(directory: string): Promise<string> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (words.includes(directory)) found.push(words.replaceAll('\0', ' '));
  }
  return found.join('\n');
}
