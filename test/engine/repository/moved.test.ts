import { MockActivityEnvironment } from '@temporalio/testing';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Dependencies } from '../../../src/activities/dependencies.ts';
import { createPlanningActivities } from '../../../src/activities/planning.ts';
import { mirrorTool } from '../../../src/activities/publish.ts';
import type { Base } from '../../../src/activities/recovery-types.ts';
import { withTopology } from '../../../src/config/topology.ts';
import type { PhysicalBackup } from '../../../src/engines/contract/backup.ts';
import type { Engine } from '../../../src/engines/engine.ts';
import { postgres } from '../../../src/engines/postgres/postgres.ts';
import type { Manifest } from '../../../src/model/backup.ts';
import { HoldfastError } from '../../../src/model/failure.ts';
import type { Topology } from '../../../src/model/topology.ts';
import { writeHeartbeat } from '../../../src/repository/heartbeats.ts';
import { instructionsKey, toolArchiveFolder } from '../../../src/repository/layout.ts';
import { listManifests, removeManifest, writeManifest } from '../../../src/repository/manifests.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { NO_METRICS } from '../../no-metrics.ts';
import { exampleConfig } from '../../unit/config/example.ts';
import { base, heartbeat, logName } from '../../unit/repository/recoverability.ts';
import { type RepositoryFixture, startRepository } from './fixture.ts';

const run = { signal: new AbortController().signal, progress: () => {} };
const madeBy = { workflowId: 'w', runId: 'r' };
const topology: Topology = {
  ...{ formatVersion: 1, database: 'shop', by: 'disaster/shop/x', at: '2026-01-31T00:10:00.000Z' },
  ...{ site: 'here', host: 'db2', address: { host: '10.0.0.2', port: 5432 }, stanza: 'shop-2' },
  ...{ dataDirectory: '/srv/data', socketDirectory: '/srv/socket', systemUser: 'postgres' },
  ...{ systemIdentifier: '1', timeline: 2 },
  former: [
    {
      ...{ stanza: 'shop', host: 'db1', address: { host: '10.0.0.1', port: 5432 } },
      ...{ until: '2099-01-01T00:00:00.000Z', timeline: 1 },
    },
  ],
};

let fixture: RepositoryFixture;
let repository: Repository;
/** what production does when its log is to be closed */
let closeLog: Engine['closeLog'];
beforeAll(async () => {
  fixture = await startRepository();
  repository = await fixture.open();
});
afterAll(async () => {
  repository?.close();
  await fixture?.dispose();
});
beforeEach(async () => {
  closeLog = () => Promise.reject(new HoldfastError('ConnectionFailed', 'nobody answers'));
  for (const { id } of await listManifests(repository, 'shop')) await removeManifest(repository, 'shop', id);
});

function depsOf(topologies: Topology[]): Dependencies {
  const config = exampleConfig();
  const engine: Engine = {
    ...postgres,
    closeLog: (access, running) => closeLog(access, running),
    listRelations: async () => ({ relations: [], refused: [] }),
  };
  return {
    config: {
      config: withTopology({ ...config, repository: fixture.config }, topologies),
      ...{ directory: fixture.directory, path: 'holdfast.yaml' },
    },
    client: {} as Dependencies['client'],
    ...{ engines: { postgres: engine }, logger: pino({ enabled: false }), metrics: NO_METRICS, host: 'db1' },
  };
}

/** As the tool reports it. */
function known(id: string): PhysicalBackup {
  const { positions, startedAt, finishedAt, kind, dependsOn } = base(id, 1, 12_000);
  return {
    ...{ id, kind, startedAt, finishedAt, dependsOn, positions, sizeBytes: 1, databaseBytes: 1 },
    ...{ serverMajor: 15, toolVersion: '2.50', systemIdentifier: '1', error: false },
  };
}

describe('manifests of a moved database', () => {
  const mirror = (topologies: Topology[], stanza: string, backups: string[]) =>
    mirrorTool(
      depsOf(topologies),
      repository,
      { database: 'shop', stanza, madeBy },
      async () => backups.map(known),
      run,
    );
  const held = async () =>
    (await listManifests(repository, 'shop')).map(({ id, stanza }) => [id, stanza]).sort();

  it('name their stanza, and those of the former one stay, whatever the tool reports of the new one', async () => {
    const { stanza: _, ...old } = base('old', 1, 12_000);
    await writeManifest(repository, old as Manifest);
    await mirror([topology], 'shop-2', ['one', 'two']);
    expect(await held()).toEqual([
      ['old', undefined],
      ['one', 'shop-2'],
      ['two', 'shop-2'],
    ]);
    const instructions = await repository.getText(instructionsKey('shop', 'physical', 'two'));
    expect(instructions).toMatch(/PGBACKREST_STANZA='?shop-2'?$/m);
    await mirror([topology], 'shop-2', ['two']);
    expect(await held()).toEqual([
      ['old', undefined],
      ['two', 'shop-2'],
    ]);
  });

  it('of a former stanza go when nothing of it is promised any more', async () => {
    const { stanza: _, ...old } = base('old', 1, 12_000);
    await writeManifest(repository, old as Manifest);
    const [place] = topology.former;
    const ago = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();
    const left = (until: string) => ({ ...topology, former: [{ ...place, until }] }) as Topology;
    await mirror([left(ago(90))], 'shop-2', ['one']);
    expect(await held()).toHaveLength(2);
    await mirror([left(ago(93))], 'shop-2', ['one']);
    expect(await held()).toEqual([['one', 'shop-2']]);
  });

  it('of the stanza of now go with it where none was named', async () => {
    const { stanza: _, ...old } = base('old', 1, 12_000);
    await writeManifest(repository, old as Manifest);
    await mirror([], 'shop', ['one']);
    expect(await held()).toEqual([['one', 'shop']]);
  });

  it('stay where a backup of a server that was given up ends after the database went back', async () => {
    await mirror([], 'shop', ['one']);
    await mirror([], 'shop-2', ['other']);
    expect(await held()).toEqual([
      ['one', 'shop'],
      ['other', 'shop-2'],
    ]);
    const chosen = await choose([]);
    expect(chosen).toMatchObject({ backup: 'one', stanza: 'shop' });
  });
});

async function choose(topologies: Topology[], beyondGap?: 'leave'): Promise<Base> {
  const { chooseBase } = createPlanningActivities(depsOf(topologies));
  for (const segment of [1, 2]) {
    const name = logName(segment);
    await repository.put(
      `${toolArchiveFolder('shop')}15-1/${name.slice(0, 16)}/${name}-${'d'.repeat(40)}.zst`,
      '',
    );
  }
  await writeHeartbeat(repository, 'shop', heartbeat(25_000));
  return (await new MockActivityEnvironment().run(chooseBase, {
    ...{ database: 'shop', target: { latest: true as const }, tables: null, preferred: null },
    ...(beyondGap === undefined ? {} : { beyondGap }),
  })) as Base;
}

describe('the base', () => {
  beforeEach(async () => {
    await writeManifest(repository, base('old', 1, 12_000));
  });

  it('of a place that was left says where to read it, and that the new place has none', async () => {
    const chosen = await choose([topology]);
    expect(chosen).toMatchObject({ backup: 'old', stanza: 'shop', lastLog: logName(2) });
    expect(chosen.notices).toContainEqual(expect.stringContaining('the new stanza has no base yet'));
  });

  it('of a disaster is chosen where production answers and is of no use any more', async () => {
    closeLog = () => Promise.reject(new HoldfastError('AuthenticationFailed', 'who are you'));
    await expect(choose([])).rejects.toThrow('who are you');
    expect(await choose([], 'leave')).toMatchObject({ backup: 'old', lastLog: logName(2) });
  });

  it('of a disaster leaves a gap behind, and the notices say what is lost', async () => {
    const later = logName(4);
    const key = `${toolArchiveFolder('shop')}15-1/${later.slice(0, 16)}/${later}-${'d'.repeat(40)}.zst`;
    const { versionId } = await repository.put(key, '');
    await expect(choose([])).rejects.toThrow('1 log missing in the archive');
    const chosen = await choose([], 'leave');
    expect(chosen).toMatchObject({ backup: 'old', lastLog: logName(2) });
    expect(chosen.notices.join()).toContain(logName(3));
    await repository.remove(key, versionId);
  });
});
