import type { LoadedConfig } from '../../../src/config/load.ts';
import type { Manifest, StoredObject } from '../../../src/model/backup.ts';
import { type AuditReading, readAuditFacts } from '../../../src/repository/audit/read.ts';
import { mapBounded } from '../../../src/repository/bounded.ts';
import { toolArchiveFolder, toolBackupFolder } from '../../../src/repository/layout.ts';
import { writeManifest } from '../../../src/repository/manifests.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { databaseText, exampleConfig } from '../../unit/config/example.ts';
import type { RepositoryFixture } from './fixture.ts';

export const DAY = 86_400_000;

export function configOf(fixture: RepositoryFixture, databases = databaseText('shop')): LoadedConfig {
  const config = { ...exampleConfig({ databases }), repository: fixture.config };
  return { config, directory: fixture.directory, path: `${fixture.directory}/holdfast.yaml` };
}

/** Reads as of a day later, when nothing is taken for a backup that is still being made. */
export async function readFacts(
  fixture: RepositoryFixture,
  options: { databases?: string; thorough?: boolean; repository?: Repository; now?: Date } = {},
): Promise<AuditReading> {
  const repository = options.repository ?? (await fixture.open());
  try {
    return await readAuditFacts(configOf(fixture, options.databases), repository, {
      ...{ now: options.now ?? new Date(Date.now() + 1.5 * DAY), thorough: options.thorough ?? false },
      ...{ signal: new AbortController().signal, progress: () => {} },
    });
  } finally {
    if (options.repository === undefined) repository.close();
  }
}

const manifestOf = (
  given: Pick<Manifest, 'id' | 'tier' | 'kind' | 'finishedAt'> & Partial<Manifest>,
): Manifest => ({
  ...{ formatVersion: 1, database: 'shop', engine: 'postgres', startedAt: given.finishedAt },
  ...{ sizeBytes: 1, databaseBytes: 1, dependsOn: [], lockedUntil: null, serverVersion: '15.19' },
  ...{ systemIdentifier: null, tools: {}, encryption: { kmsKeyId: null, repositoryCipher: false } },
  positions: { timeline: 1, start: null, stop: null, startLog: null, stopLog: null },
  ...{ databases: [], globals: null, instructions: null, notices: [] },
  ...{ madeBy: { workflowId: 'test', runId: 'test' } },
  ...given,
});

/** A logical backup of two objects. */
export async function plantLogical(
  repository: Repository,
  id: string,
  given: Partial<Manifest> & { lockedUntil?: string | null } = {},
): Promise<Manifest> {
  const { database = 'shop', lockedUntil = null } = given;
  const put = (name: string) =>
    repository.put(`logical/${database}/${id}/a1/${name}`, `content of ${name}`, { lockedUntil });
  const [dump, schema] = [await put('shop.dump'), await put('shop.schema')] as [StoredObject, StoredObject];
  const manifest = manifestOf({
    ...{ id, database, tier: 'logical', kind: 'full', finishedAt: new Date().toISOString() },
    databases: [{ name: 'shop', objects: [dump], fingerprints: null, schema }],
    ...given,
  });
  await writeManifest(repository, manifest);
  return manifest;
}

/** A physical backup in pgBackRest's layout, of logs by their number; without `publish` nothing but its files. */
export async function plantBase(
  repository: Repository,
  id: string,
  options: { stanza?: string; logs?: [number, number]; files?: string[]; publish?: boolean } = {},
): Promise<void> {
  const { stanza = 'shop', files = ['backup.manifest', 'pg_data/base/1/1', 'pg_data/base/1/2'] } = options;
  for (const file of files) await repository.put(`${toolBackupFolder(stanza)}${id}/${file}`, file);
  if (options.publish === false) return;
  const logs = options.logs;
  await writeManifest(
    repository,
    manifestOf({
      ...{ id, tier: 'physical', finishedAt: new Date().toISOString(), stanza },
      kind: id.includes('_') ? 'diff' : 'full',
      dependsOn: id.includes('_') ? [id.slice(0, 16)] : [],
      ...(logs === undefined
        ? {}
        : {
            positions: {
              ...{ timeline: 1, start: null, stop: null },
              ...{ startLog: logName(logs[0]), stopLog: logName(logs[1]) },
            },
          }),
    }),
  );
}

export const logName = (number: number): string =>
  `00000001${hex(Math.floor(number / 256))}${hex(number % 256)}`;
const hex = (number: number): string => number.toString(16).toUpperCase().padStart(8, '0');

export const logKey = (number: number, stanza = 'shop'): string => {
  const name = logName(number);
  return `${toolArchiveFolder(stanza)}15-1/${name.slice(0, 16)}/${name}-${'a'.repeat(40)}.zst`;
};

/** Archived logs from one number to another, and the files that the tool reads at every step. */
export async function plantLogs(
  repository: Repository,
  [first, last]: [number, number],
  stanza = 'shop',
): Promise<void> {
  for (const folder of [toolArchiveFolder(stanza), toolBackupFolder(stanza)]) {
    const name = folder.includes('archive') ? 'archive.info' : 'backup.info';
    await repository.put(`${folder}${name}`, name);
  }
  const numbers = Array.from({ length: last - first + 1 }, (_, at) => first + at);
  await mapBounded(numbers, 48, (number) => repository.put(logKey(number, stanza), ''));
}
