import { thawSchema } from '../config/schema/repository.ts';
import type { Config } from '../config/schema.ts';
import { type Archived, archivedNotice } from '../model/archive.ts';
import type { Manifest } from '../model/backup.ts';
import { parseDuration } from '../model/duration.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { readManifest } from '../repository/manifests.ts';
import { type Needed, neededBy, neededBySnapshot } from '../repository/needed.ts';
import type { Repository } from '../repository/repository.ts';
import { archivedOf, requestThaw, type Thawing } from '../repository/thaw.ts';
import { databaseOf, withRepository } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import type { Base, RecoverySettings } from './recovery-types.ts';
import { asActivity } from './run.ts';

type LogsOf = Pick<Base, 'stanza' | 'timeline' | 'lastLog'>;

/** What an archive class holds back until it is thawed. Asking needs the credentials that may write. */
export const createThawingActivities = (deps: Dependencies) => ({
  /** Asks for whatever of the base and its logs is away and was not asked for yet. */
  async requestThaw(input: { database: string; base: Base }): Promise<Thawing> {
    return asActivity((run) =>
      withRepository(deps, 'backup', async (repository) => {
        const { tier, keep } = thawOf(deps.config.config);
        const manifest = await readManifest(repository, input.database, input.base.backup);
        if (manifest === null) {
          throw new HoldfastError(
            'UnknownBackup',
            `the manifest of backup ${input.base.backup} cannot be read`,
          );
        }
        const needed = neededFor(deps, input.database, manifest, input.base);
        return requestThaw(repository, needed, { tier, keepMs: parseDuration(keep) }, run);
      }),
    );
  },
});

/** The base with what of it has to be thawed first, and the notice that says so. */
export async function withArchived(
  deps: Dependencies,
  { database, manifest, base }: { database: string; manifest: Manifest; base: Base },
  run: Run,
): Promise<Base> {
  const { tier } = thawOf(deps.config.config);
  const archived = await withRepository(deps, 'backup', (repository) =>
    archivedIn(deps, repository, { database, manifest, ...base }, run),
  );
  if (archived === null) return base;
  const estimateSeconds = base.estimateSeconds + Math.ceil(archived.hours * 3_600);
  return { ...base, archived, estimateSeconds, notices: [archivedNotice(archived, tier), ...base.notices] };
}

/** What of a base and its logs cannot be read as it is; null: all of it can. */
export function archivedIn(
  deps: Dependencies,
  repository: Repository,
  { database, manifest, ...range }: { database: string; manifest: Manifest } & LogsOf,
  run: Run,
): Promise<Archived | null> {
  const { tier } = thawOf(deps.config.config);
  return archivedOf(repository, neededFor(deps, database, manifest, range), tier, run);
}

export function thawSettings(config: Config): RecoverySettings['thaw'] {
  const { lookEvery, timeLimit } = thawOf(config);
  return { lookEveryMs: parseDuration(lookEvery), timeLimitMs: parseDuration(timeLimit) };
}

const thawOf = ({ repository }: Config) => repository.thaw ?? thawSchema.parse({});

function neededFor(deps: Dependencies, database: string, manifest: Manifest, range: LogsOf): Needed {
  if (manifest.tier === 'snapshot') return neededBySnapshot(manifest);
  const stanza = range.stanza ?? manifest.stanza ?? databaseOf(deps, database).stanza;
  return neededBy(manifest, { stanza, timeline: range.timeline, lastLog: range.lastLog });
}
