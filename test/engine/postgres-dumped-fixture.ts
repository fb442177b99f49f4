import { createReadStream } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningPostgres, startPostgres } from '../../src/client/dev/postgres.ts';
import type { LogicalDump } from '../../src/engines/contract/backup.ts';
import type { RestoreTablesInput } from '../../src/engines/contract/restore.ts';
import { dump } from '../../src/engines/postgres/dump.ts';
import { restoreTables } from '../../src/engines/postgres/dumped/restore-tables.ts';
import { fingerprint } from '../../src/engines/postgres/fingerprint.ts';
import { serverPid } from '../../src/engines/postgres/instance-processes.ts';
import { stop } from '../../src/engines/postgres/server.ts';
import type { InstanceRecord } from '../../src/instances/instance.ts';
import { localInstances } from '../../src/instances/local.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import type { HoldfastError } from '../../src/model/failure.ts';
import { fileSink } from './postgres-file-sink.ts';
import { quietly, RESTORE_USER } from './postgres-recovery-fixture.ts';

export type Copy = Awaited<ReturnType<typeof restoreTables>>;

/** A production server, its dump in a folder, and a site on which copies of its tables are made. */
export interface Dumped {
  production: RunningPostgres;
  directory: string;
  /** dumps every db anew; what it gave last is `dumped` */
  dump(): Promise<LogicalDump>;
  dumped(): LogicalDump;
  dumpFile(database?: string): string;
  inputFor(tables: string[] | null, change?: Partial<RestoreTablesInput>): Promise<RestoreTablesInput>;
  /** makes a copy, and removes it whatever happens */
  withCopy(
    tables: string[] | null,
    work: (copy: Copy, input: RestoreTablesInput) => Promise<void>,
    change?: Partial<RestoreTablesInput>,
  ): Promise<void>;
  /** what a restore is refused with; looks whether a server was left running */
  refusal(tables: string[], change?: Partial<RestoreTablesInput>): Promise<HoldfastError | null>;
  remove(input: RestoreTablesInput): Promise<void>;
  /** of tables in a copy, with the hash of the dump */
  prints(access: ServerAccess, tables: string[]): Promise<unknown[]>;
  /** the same as the dump kept them */
  dumpedPrints(tables: string[], database?: string): unknown[];
  end(): Promise<void>;
}

export async function startDumped({ major, database }: { major: number; database: string }): Promise<Dumped> {
  const directory = await mkdtemp(join(tmpdir(), 'hf-dumped-'));
  await chmod(directory, 0o755);
  const production = await startPostgres({
    ...{ directory: join(directory, 'production'), port: 0, major, systemUser: 'postgres' },
    ...{ password: 'secret-of-production', database, settings: { fsync: 'off' } },
  });
  const site = localInstances({
    ...{ site: 'local', host: 'here', directory: join(directory, 'site') },
    ...{ user: RESTORE_USER, reserveBytes: 0 },
  });
  let count = 0;
  let last: LogicalDump | null = null;
  const dumped = () => {
    if (last === null) throw new Error('nothing was dumped yet');
    return last;
  };
  const dumpFile = (name = database) => join(directory, `${encodeURIComponent(name)}.dump.zst`);
  const inputFor: Dumped['inputFor'] = async (tables, change = {}) => {
    count += 1;
    const place = await site.provision({
      ...{ id: `shop-${count}`, database: 'shop', engine: 'postgres' as const },
      ...{ owner: { workflowId: 'test', runId: 'test' }, expiresAt: '2099-01-01T00:00:00Z' },
    });
    return {
      ...{ place, serverMajor: major, backup: '20260131T140500Z', timeline: 1, position: 'of a test' },
      ...{ user: 'postgres', database, tables, sizeBytes: 1 },
      globals: await readFile(join(directory, 'globals.sql'), 'utf8'),
      open: () => createReadStream(dumpFile(change.database)),
      ...change,
    };
  };
  const remove = async ({ place }: RestoreTablesInput) => {
    await site.remove((place as InstanceRecord).id, { stop: (record) => stop(record) });
  };
  const printsOf = (name: string) =>
    dumped().databases.find((one) => one.name === name)?.fingerprints ?? { hash: '', tables: [] };
  return {
    ...{ production, directory, dumped, dumpFile, inputFor, remove },
    async dump() {
      last = await dump(
        { access: production.access, sink: fileSink(directory), fingerprints: true },
        quietly,
      );
      return last;
    },
    async withCopy(tables, work, change) {
      const input = await inputFor(tables, change);
      try {
        await work(await restoreTables(input, quietly), input);
      } finally {
        await remove(input);
      }
    },
    async refusal(tables, change) {
      const input = await inputFor(tables, change);
      const error = await restoreTables(input, quietly).then(
        () => null,
        (cause: unknown) => cause as HoldfastError,
      );
      const pid = await serverPid(input.place);
      await remove(input);
      if (pid !== null) throw new Error(`the refused copy still runs as ${pid}`);
      return error;
    },
    prints: async (access, tables) =>
      (await fingerprint(access, { hash: printsOf(database).hash, tables }, quietly)).tables,
    dumpedPrints: (tables, name = database) =>
      printsOf(name).tables.filter(({ table }) => tables.includes(table)),
    async end() {
      await production.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
