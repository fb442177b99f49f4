import { join } from 'node:path';
import { pino } from 'pino';
import type { Dependencies } from '../../../src/activities/dependencies.ts';
import { type ShippingReport, shipLogs } from '../../../src/activities/shipping.ts';
import type { Engine } from '../../../src/engines/engine.ts';
import { withConnection } from '../../../src/engines/mysql/connection.ts';
import { showBinlogStatus } from '../../../src/engines/mysql/flavour.ts';
import { readIdentity } from '../../../src/engines/mysql/inspect.ts';
import { closeLog, shipping } from '../../../src/engines/mysql/log.ts';
import type { Manifest } from '../../../src/model/backup.ts';
import { readCatalog, readRecoverability } from '../../../src/repository/catalog.ts';
import { writeManifest } from '../../../src/repository/manifests.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { type LeftLogs, leave, listKnown } from '../../../src/repository/shipped/listing.ts';
import { listShippedLogs, readLogRecord, shippedContent } from '../../../src/repository/shipped/logs.ts';
import { NO_METRICS } from '../../no-metrics.ts';
import { exampleConfig } from '../../unit/config/example.ts';
import { dump } from '../../unit/repository/shipped/shop.ts';
import { type MysqlServer, quietly, type SeriesName, startMysql } from '../mysql-server.ts';
import { type RepositoryFixture, startRepository } from './fixture.ts';

export const HISTORY = { bases: 'logical', stanza: '', former: [] } as const;

/** A server, a repository, and what the watcher of its host is given. */
export interface ShippingFixture {
  server: MysqlServer;
  repository: Repository;
  storage: RepositoryFixture;
  deps: Dependencies;
  /** ships what is closed, beginning where the one before has left off, as a watch does */
  ship(options?: { deps?: Dependencies }): Promise<ShippingReport>;
  /** closes the current log and does the same */
  round(): Promise<ShippingReport>;
  /** rows of a table of one column */
  insert(...ids: number[]): Promise<void>;
  /** a logical backup as far as its place in the logs counts; of this database, or of another on a server of its own */
  backup(id: string, of?: { database: string; server: MysqlServer }): Promise<Manifest>;
  names(): Promise<string[]>;
  catalog(): ReturnType<typeof readCatalog>;
  known(): ReturnType<typeof readRecoverability>;
  /** the content of a shipped log, as an engine reads it */
  contentOf(name: string): Promise<Buffer>;
  end(): Promise<void>;
}

/** `directory`: logs are read from their folder, not through the server. */
export async function startShipping(
  series: SeriesName,
  { directory = true }: { directory?: boolean } = {},
): Promise<ShippingFixture> {
  const storage = await startRepository();
  const server = await startMysql({ series });
  await server.run(['CREATE DATABASE shop', 'CREATE TABLE shop.t (id INT PRIMARY KEY)']);
  const repository = await storage.open();
  const place = directory ? `{logDirectory: ${server.dataDirectory}}` : '{}';
  const config = exampleConfig({
    databases: `  shop:
    engine: mysql
    host: db1
    connection: {host: ${server.directory}, port: ${server.port}, user: root, database: shop}
    objectives: {rpo: 1m}
    mysql: ${place}
`,
  });
  const deps: Dependencies = {
    config: {
      config: { ...config, repository: storage.config },
      ...{ directory: storage.directory, path: join(storage.directory, 'holdfast.yaml') },
    } as Dependencies['config'],
    client: {} as Dependencies['client'],
    engines: { mysql: { logs: { kind: 'shipped', ...shipping } } as unknown as Engine },
    ...{ logger: pino({ enabled: false }), metrics: NO_METRICS, host: 'db1' },
  };
  let left: LeftLogs | null = null;
  const ship: ShippingFixture['ship'] = async (given = {}) => {
    const known = await listKnown(repository, 'shop', { left, now: new Date() });
    const input = { database: 'shop', known, patienceMs: 120_000 };
    const report = await shipLogs(given.deps ?? deps, repository, input, quietly);
    left = leave(known);
    return report;
  };
  return {
    ...{ server, repository, storage, deps, ship },
    async round() {
      await closeLog(server.access, quietly);
      return ship();
    },
    insert: async (...ids) => {
      for (const id of ids) await server.query('INSERT INTO shop.t VALUES (?)', [id]);
    },
    async backup(id, of = { database: 'shop', server }) {
      const at = await withConnection(of.server.access, quietly, async (session) => {
        const identity = await readIdentity(session);
        const [status] = await session.query<{ File: string; Position: number }>(
          showBinlogStatus(session.server),
        );
        const [clock] = await session.query<{ at: string }>('SELECT UTC_TIMESTAMP(3) AS at');
        return { identity, status, time: `${clock?.at.replace(' ', 'T')}Z` };
      });
      const { positions, ...made } = dump(id, 0, 1, { server: at.identity });
      const start = `${at.status?.File}:${at.status?.Position}`;
      const log = at.status?.File ?? '';
      const manifest: Manifest = {
        ...made,
        ...{ database: of.database, startedAt: at.time, finishedAt: at.time },
        positions: { ...positions, start, stop: start, startLog: log, stopLog: log, at: at.time },
      };
      await writeManifest(repository, manifest);
      return manifest;
    },
    names: async () => {
      const logs = await listShippedLogs(repository, 'shop');
      return logs.toSorted((a, b) => a.number - b.number).map(({ name }) => name);
    },
    catalog: () => readCatalog(repository, 'shop', { ...HISTORY, now: new Date() }),
    known: () => readRecoverability(repository, 'shop', HISTORY),
    async contentOf(name) {
      const log = (await listShippedLogs(repository, 'shop')).find((one) => one.name === name);
      if (log === undefined) throw new Error(`${name} is not shipped`);
      const record = await readLogRecord(repository, log);
      const pieces: Buffer[] = [];
      for await (const piece of shippedContent(repository, record).open(quietly.signal)) pieces.push(piece);
      return Buffer.concat(pieces);
    },
    async end() {
      repository.close();
      await server.end();
      await storage.dispose();
    },
  };
}
