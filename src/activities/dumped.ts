import { compareFingerprints } from '../engines/compare-fingerprints.ts';
import { compareSchemas } from '../engines/compare-schemas.ts';
import type { DumpSource, RestoredTables } from '../engines/contract/restore.ts';
import type { Engine } from '../engines/engine.ts';
import type { DumpedDatabase } from '../model/backup.ts';
import type { Check } from '../model/evidence.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { parseNameParts } from '../model/table.ts';
import { chooseLogical, type LogicalChoice } from '../repository/choice-logical.ts';
import { requireUnchanged } from '../repository/dumped-content.ts';
import { listManifests } from '../repository/manifests.ts';
import type { Repository } from '../repository/repository.ts';
import { databaseOf, productionAccess, withRepository } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { dumpSource } from './dumped-base.ts';
import { findInstance } from './instances.ts';
import type { Base, InstanceReference } from './recovery-types.ts';

export interface DumpedInput {
  instance: InstanceReference;
  database: string;
  base: Base;
  /** as people, or the base, name them; null: all of the db */
  tables: string[] | null;
}

/** Restores tables of a logical backup into an instance of their own; without `tables` every db of the backup. */
export async function restoreDumped(
  deps: Dependencies,
  input: DumpedInput,
  run: Run,
): Promise<RestoredTables> {
  const { engine, config } = databaseOf(deps, input.database);
  const place = await findInstance(deps, input.instance);
  return withRepository(deps, 'restore', async (repository) => {
    const choice = await readLogical(deps, repository, input.database, input.base.backup);
    const { manifest } = choice;
    const globals = manifest.globals === null ? null : await repository.getText(manifest.globals, run.signal);
    if (choice.dumped.fingerprints === null) {
      await requireUnchanged(repository, { id: manifest.id, objects: choice.dumped.objects }, run);
    }
    const [first, ...others] = dumpsOf(choice, input.tables).map((dumped) =>
      dumpSource(repository, dumped),
    ) as [DumpSource, ...DumpSource[]];
    return engine.restoreTables(
      {
        ...{ place, serverMajor: input.base.serverMajor, backup: manifest.id },
        timeline: manifest.positions.timeline ?? 1,
        position: 'at its own snapshot',
        user: config.connection.user,
        ...{ tables: input.tables, globals, ...first, others },
      },
      run,
    );
  });
}

/**
 * The db that is connected to, first; the others where no tables are named. A table's name may begin with its db where
 * that is all that is above it.
 */
function dumpsOf({ manifest, dumped }: LogicalChoice, tables: readonly string[] | null): DumpedDatabase[] {
  const others = manifest.databases.filter((one) => one !== dumped);
  if (tables === null) return [dumped, ...others];
  if (manifest.engine !== 'mysql') return [dumped];
  const named = new Set(tables.map((table) => dbOf(table, dumped.name)));
  const wanted = [dumped, ...others].filter(({ name }) => named.has(name));
  return wanted.length === 0 ? [dumped] : wanted;
}

const dbOf = (table: string, own: string): string => {
  const parts = parseNameParts(table);
  return parts.length > 1 ? (parts[0] as string) : own;
};

/**
 * The rows beside the fingerprints of the dump's own snapshot, and the schema beside production's. Throws CheckFailed,
 * save for a verification, to which what failed is a finding.
 */
export async function checkDumped(
  deps: Dependencies,
  input: DumpedInput & { restored: RestoredTables; besideProduction: boolean; verifying?: true },
  run: Run,
): Promise<Check[]> {
  const { engine } = databaseOf(deps, input.database);
  const place = await findInstance(deps, input.instance);
  await engine.ensureRunning(place, run);
  const { access, named } = input.restored;
  const checks = await withRepository(deps, 'restore', async (repository) => {
    const choice = await readLogical(deps, repository, input.database, input.base.backup);
    const found: Check[] = [];
    for (const dumped of dumpsOf(choice, named)) {
      const schema = named === null ? ((await repository.getText(dumped.schema, run.signal)) ?? '') : null;
      const own = await checkDump(engine, { ...input.restored, dumped, schema }, run);
      found.push(...(dumped === choice.dumped ? own : own.map((check) => ofDb(check, dumped.name))));
    }
    return found;
  });
  const production = input.besideProduction ? await productionAccess(deps, input.database) : null;
  checks.push(
    ...(await engine.check(
      {
        ...{ place, serverMajor: input.base.serverMajor, restored: access, production, tables: named },
        madeHere: true,
      },
      run,
    )),
  );
  const failed = checks.filter(({ verdict }) => verdict === 'fail');
  if (failed.length === 0 || input.verifying === true) return checks;
  throw new HoldfastError(
    'CheckFailed',
    `backup ${input.base.backup} is not what was backed up: ${failed.map(({ detail }) => detail).join('; ')}`,
    {
      hint: 'restore from another backup: --backup <id> of holdfast catalog',
    },
  );
}

const ofDb = (check: Check, db: string): Check => ({ ...check, name: `${check.name} of db ${db}` });

/** One db of the copy; `schema` null: only the rows of some tables. */
async function checkDump(
  engine: Engine,
  copy: RestoredTables & { dumped: DumpedDatabase; schema: string | null },
  run: Run,
): Promise<Check[]> {
  const { dumped, schema, notices } = copy;
  const { fingerprints } = dumped;
  if (fingerprints === null) return [notCounted(schema)];
  const found = await engine.fingerprint(
    { ...copy.access, database: dumped.name },
    { hash: fingerprints.hash, tables: schema === null ? tablesIn(copy, dumped) : null },
    run,
  );
  return schema === null
    ? [compareFingerprints(fingerprints, found.tables)]
    : [
        compareFingerprints(fingerprints, found.tables, { whole: { notices } }),
        compareSchemas(schema, found.schema, notices),
      ];
}

/** Those of this dump, where a copy has tables of several. */
const tablesIn = ({ tables }: RestoredTables, { fingerprints }: DumpedDatabase): string[] => {
  const own = new Set(fingerprints?.tables.map(({ table }) => table));
  return tables.filter((table) => own.has(table));
};

const notCounted = (schema: string | null): Check => ({
  name: 'rows',
  verdict: 'inconclusive',
  detail: `the backup has no fingerprints to compare ${schema === null ? '' : 'its rows and definitions '}with (tiers.logical.fingerprints)`,
});

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
