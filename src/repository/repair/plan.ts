import { describeDatabase } from '../../config/describe.ts';
import type { LoadedConfig } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import { readSecret } from '../../config/secrets.ts';
import type { Manifest } from '../../model/backup.ts';
import { keptByTool } from '../../model/kept-by-tool.ts';
import type { Run } from '../../model/progress.ts';
import { firstStanza, type History, manifestsOf, stanzasOf } from '../history.ts';
import { shippedLogOf } from '../layout.ts';
import { lifecycleOf } from '../lifecycle/rules.ts';
import { type StoredManifest, storedManifests } from '../manifests.ts';
import type { Repository } from '../repository.ts';
import { type Area, type Mend, type Survey, survey } from './area.ts';
import { ownAreas } from './own.ts';
import { recordAreas } from './records.ts';
import { shippedArea } from './shipped.ts';
import { toolTree } from './tool.ts';
import { type Doubt, topologies } from './topologies.ts';

/** What lies on top of what backups need, and what would be done about it. */
export interface RepairPlan extends Survey {
  /** keys that were looked at */
  looked: number;
  /** what only a person can tell */
  doubts: Doubt[];
}

type Stored = NonNullable<StoredManifest['good']>;

/**
 * Looks at everything that the catalogued backups of these databases need. `file` is the configuration as its file says:
 * where databases live now the repository tells, which may be what was tampered with.
 */
export async function planRepair(
  repository: Repository,
  file: LoadedConfig,
  databases: readonly string[],
  { now, run }: { now: Date; run: Run },
): Promise<RepairPlan> {
  const { cipher } = file.config.repository;
  const passphrase = cipher === undefined ? null : await readSecret(cipher, file.directory);
  const moved = await topologies(repository, file.config, databases, run.signal);
  const plan: RepairPlan = { mends: moved.mends, lost: [], looked: 0, doubts: moved.doubts };
  for (const name of databases) {
    const known = await knownOf(repository, moved.config, name, { now, passphrase }, run.signal);
    const seen = await look(repository, known.areas, name, run);
    plan.looked += seen.looked;
    plan.mends.push(...seen.mends);
    plan.lost.push(...seen.lost);
  }
  plan.mends = inOrder(plan.mends);
  return plan;
}

async function look(
  repository: Repository,
  areas: readonly Area[],
  database: string,
  run: Run,
): Promise<Survey & { looked: number }> {
  const found = { mends: [] as Mend[], lost: [] as Survey['lost'], looked: 0 };
  const onKeys = (count: number) => {
    found.looked += count;
    run.progress({ phase: `looking at ${database}`, done: found.looked });
  };
  for (const area of areas) {
    const { mends, lost } = await survey(repository, area, onKeys, run.signal);
    found.mends.push(...mends);
    found.lost.push(...lost);
  }
  return found;
}

async function knownOf(
  repository: Repository,
  config: Config,
  name: string,
  { now, passphrase }: { now: Date; passphrase: string | null },
  signal: AbortSignal,
): Promise<{ areas: Area[] }> {
  const view = describeDatabase(config, name);
  const { retention, tiers } = view;
  const stored = (await storedManifests(repository, name, signal)).flatMap(({ good }) => good ?? []);
  const areas: Area[] = [];
  const needed = new Set<Manifest>();
  for (const stanza of stanzasOf(view)) {
    const ofStanza = historyOf(view, stored).filter(({ manifest }) => manifest.stanza === stanza);
    const made = ofStanza.map(({ manifest }) => manifest);
    const { retentionArchive } = keptByTool(tiers.physical, retention, {
      ...{ made, next: 'diff', now: now.getTime() },
    });
    // Fulls beyond the count that are promised are in the tool's own list.
    const retentionFull = tiers.physical?.retentionFull ?? 2;
    const keeps = { retentionFull, retentionArchive, retentionMs: retention.physicalMs };
    const input = { database: name, stanza, stored: ofStanza, keeps, passphrase, now };
    const tree = await toolTree(repository, input, signal);
    for (const manifest of tree.needed) needed.add(manifest);
    areas.push(...tree.areas);
  }
  const ids = new Set([...needed].map(({ id }) => id));
  const ours = stored.filter(({ manifest }) =>
    manifest.tier === 'physical'
      ? ids.has(manifest.id)
      : Date.parse(endOf(manifest, retention[`${manifest.tier}Ms`])) > now.getTime(),
  );
  const { rules } = lifecycleOf(config);
  const records = recordAreas(repository, name, rules, signal);
  const logs = view.bases === 'logical' ? [shippedArea(repository, name, rules, signal)] : [];
  return { areas: [...areas, ...records, ...logs, ...ownAreas(name, ours)] };
}

/** Physical backups that belong to the database's history, each with its stanza. */
function historyOf(view: History, stored: readonly Stored[]): Stored[] {
  return stored.flatMap(({ manifest, version }) =>
    manifestsOf(view, [manifest])
      .filter(({ tier }) => tier === 'physical')
      .map((one) => ({ manifest: { ...one, stanza: one.stanza ?? firstStanza(view) }, version })),
  );
}

const endOf = ({ expiresAt, finishedAt }: Manifest, retentionMs: number): string =>
  expiresAt ?? new Date(Date.parse(finishedAt) + retentionMs).toISOString();

/**
 * The tool's records after the backups that they name, for a tool that runs meanwhile strikes out what it does not find;
 * manifests and the records of logs last, since with them a backup, or a log, is one again.
 */
function inOrder(mends: readonly Mend[]): Mend[] {
  const rank = ({ key }: Mend) =>
    key.startsWith('manifest/') || shippedLogOf(key)?.isRecord === true
      ? 2
      : /\/(backup|archive)\.info(\.copy)?$/.test(key)
        ? 1
        : 0;
  return mends.toSorted((a, b) => rank(a) - rank(b));
}
