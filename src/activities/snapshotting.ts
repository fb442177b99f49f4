import { classOf } from '../config/storage-class.ts';
import type { Manifest } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import type { NoSnapshot } from '../model/snapshot.ts';
import { firstStanza, manifestsOf } from '../repository/history.ts';
import { listManifests, readManifest } from '../repository/manifests.ts';
import { snapshotIdOf, snapshotSources } from '../repository/snapshot/choose.ts';
import { takeSnapshot } from '../repository/snapshot/take.ts';
import { readVerifications } from '../repository/verifications.ts';
import { databaseOf, withRepository } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { type BackupSummary, publish, summaryOf } from './publish.ts';
import { asActivity } from './run.ts';
import { archivedIn } from './thawing.ts';

/** A month's snapshot: any worker can, since S3 does the copying. */
export const createSnapshotActivities = (deps: Dependencies) => ({
  /** The month's first verified backup, or why there is nothing to do. */
  async chooseSnapshot(input: { database: string; at: string }): Promise<{ backup: string } | NoSnapshot> {
    return asActivity((run) =>
      withRepository(deps, 'restore', async (repository) => {
        const database = databaseOf(deps, input.database);
        const { of } = database.tiers.snapshot ?? refuse(input.database);
        run.progress({ phase: 'reading the catalog' });
        const [all, verifications] = await Promise.all([
          listManifests(repository, database.name),
          readVerifications(repository, database.name),
        ]);
        const known = { database: database.name, of, manifests: manifestsOf(database, all), verifications };
        const found = snapshotSources(known, input.at);
        if ('skipped' in found) return found;
        for (const manifest of found) {
          const { timeline, stopLog } = manifest.positions;
          const range = { timeline: timeline ?? 1, lastLog: stopLog };
          const what = { database: database.name, manifest, ...range };
          // S3 copies nothing out of an archive class: a differential's full may be there already.
          const archived = of === 'physical' && (await archivedIn(deps, repository, what, run)) !== null;
          if (!archived) return { backup: manifest.id };
        }
        const skipped = `what the verified ${of} backups of ${database.name} need is in an archive class: the next full is waited for`;
        return { id: null, skipped };
      }),
    );
  },

  /** Copies a backup under a lock of its own; the manifest, written last, is what makes it one. `at`: when its retention begins. */
  async takeSnapshot(input: {
    database: string;
    backup: string;
    at: string;
    madeBy: Manifest['madeBy'];
  }): Promise<BackupSummary> {
    return asActivity((run) =>
      withRepository(deps, 'backup', async (repository) => {
        const database = databaseOf(deps, input.database);
        const { repository: config } = deps.config.config;
        const id = snapshotIdOf(input.backup);
        // An earlier attempt may have been killed right after its manifest.
        const before = await readManifest(repository, database.name, id);
        if (before !== null) return summaryOf(before);
        const source = await readManifest(repository, database.name, input.backup);
        if (source === null) throw gone(input);
        const until = new Date(Date.parse(input.at) + database.retention.snapshotMs).toISOString();
        const draft = await takeSnapshot(
          repository,
          source,
          {
            ...{ id, expiresAt: until, madeBy: input.madeBy },
            stanza: source.stanza ?? firstStanza(database),
            lockedUntil: config.lock === undefined ? null : until,
            storageClass: classOf(config, 'snapshot'),
          },
          run,
        );
        run.progress({ phase: 'publishing the manifest' });
        return summaryOf(await publish(deps, repository, draft));
      }),
    );
  },
});

function refuse(database: string): never {
  throw new HoldfastError('NotSupported', `snapshots of ${database} are switched off`, {
    hint: 'set tiers.snapshot in the configuration, with a physical or a logical tier to copy',
  });
}

function gone({ database, backup }: { database: string; backup: string }): HoldfastError {
  return new HoldfastError('UnknownBackup', `the manifest of backup ${backup} cannot be read`, {
    hint: `see holdfast catalog ${database}`,
  });
}
