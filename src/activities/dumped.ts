import { Readable } from 'node:stream';
import { compareFingerprints } from '../engines/compare-fingerprints.ts';
import { compareSchemas } from '../engines/compare-schemas.ts';
import type { RestoredTables } from '../engines/engine.ts';
import type { Fingerprints, StoredObject, TableFingerprint } from '../model/backup.ts';
import type { Check } from '../model/evidence.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { chooseLogical, type LogicalChoice } from '../repository/choice-logical.ts';
import { listManifests } from '../repository/manifests.ts';
import type { Repository } from '../repository/repository.ts';
import { databaseOf, productionAccess, withRepository } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { findInstance } from './instances.ts';
import type { Base, InstanceReference } from './recovery-types.ts';

export interface DumpedInput {
  instance: InstanceReference;
  database: string;
  base: Base;
  /** as people, or the base, name them; null: all of the db */
  tables: string[] | null;
}

/** Restores tables of a logical backup into an instance of their own. */
export async function restoreDumped(
  deps: Dependencies,
  input: DumpedInput,
  run: Run,
): Promise<RestoredTables> {
  const { engine, config } = databaseOf(deps, input.database);
  const place = await findInstance(deps, input.instance);
  return withRepository(deps, 'restore', async (repository) => {
    const { manifest, dumped } = await readLogical(deps, repository, input.database, input.base.backup);
    const globals = manifest.globals === null ? null : await repository.getText(manifest.globals, run.signal);
    return engine.restoreTables(
      {
        place,
        serverMajor: input.base.serverMajor,
        backup: manifest.id,
        timeline: manifest.positions.timeline ?? 1,
        position: `the snapshot of logical backup ${manifest.id}`,
        user: config.connection.user,
        database: dumped.name,
        tables: input.tables,
        globals,
        open: (signal) => contentOf(repository, dumped.objects, signal),
        sizeBytes: dumped.objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      },
      run,
    );
  });
}

/** The rows beside the fingerprints of the dump's own snapshot, and the schema beside production's. */
export async function checkDumped(
  deps: Dependencies,
  input: DumpedInput & { restored: RestoredTables; besideProduction: boolean },
  run: Run,
): Promise<Check[]> {
  const { engine } = databaseOf(deps, input.database);
  const place = await findInstance(deps, input.instance);
  await engine.ensureRunning(place, run);
  const { access, tables, named } = input.restored;
  const dumped = await withRepository(deps, 'restore', async (repository) => {
    const choice = await readLogical(deps, repository, input.database, input.base.backup);
    return { ...choice, schema: await repository.getText(choice.dumped.schema, run.signal) };
  });
  const { fingerprints } = dumped.dumped;
  const hash = fingerprints?.hash ?? null;
  const found = hash === null ? null : await engine.fingerprint(access, { hash, tables }, run);
  const rows = checkRows(fingerprints, found?.tables ?? null);
  const definitions =
    named !== null || found === null
      ? []
      : [compareSchemas(dumped.schema ?? '', found.schema, input.restored.notices)];
  const production = input.besideProduction ? await productionAccess(deps, input.database) : null;
  const others = await engine.check(
    {
      ...{ place, serverMajor: input.base.serverMajor, restored: access, production, tables: named },
      madeHere: true,
    },
    run,
  );
  const checks = [rows, ...definitions, ...others];
  const failed = checks.filter(({ verdict }) => verdict === 'fail');
  if (failed.length === 0) return checks;
  throw new HoldfastError(
    'CheckFailed',
    `backup ${input.base.backup} is not what was backed up: ${failed.map(({ detail }) => detail).join('; ')}`,
    {
      hint: 'restore from another backup: --backup <id> of holdfast catalog',
    },
  );
}

function checkRows(expected: Fingerprints | null, found: TableFingerprint[] | null): Check {
  if (expected !== null && found !== null) return compareFingerprints(expected.tables, found);
  return {
    name: 'rows',
    verdict: 'inconclusive',
    detail: 'the backup has no fingerprints to compare with (tiers.logical.fingerprints)',
  };
}

/** The backup that was chosen, with the dump of the connected db. */
export async function readLogical(
  deps: Dependencies,
  repository: Repository,
  database: string,
  backup: string | null,
): Promise<LogicalChoice> {
  const { config } = databaseOf(deps, database);
  const manifests = await listManifests(repository, database);
  return chooseLogical(manifests, { database, db: config.connection.database, backup });
}

/** A dump may lie in several objects, which are one stream. */
function contentOf(repository: Repository, objects: readonly StoredObject[], signal: AbortSignal): Readable {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (const object of objects) yield* repository.stream(object, signal) as AsyncIterable<Buffer>;
  }
  return Readable.from(pieces(), { objectMode: false });
}
