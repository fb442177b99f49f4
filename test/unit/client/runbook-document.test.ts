import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { beforeAll, describe, expect, test } from 'vitest';
import { runbookCommand } from '../../../src/client/commands/runbook.ts';
import { createProgram } from '../../../src/client/program.ts';
import { runbookDocuments } from '../../../src/client/runbook-document/documents.ts';
import { factsOf, type RunbookFacts } from '../../../src/client/runbook-document/facts.ts';
import { type Measured, measuredOf } from '../../../src/client/runbook-document/measured.ts';
import { describeDatabase, protectionOf } from '../../../src/config/describe.ts';
import { parseConfig } from '../../../src/config/load.ts';
import type { DrillRecord } from '../../../src/model/drill.ts';
import type { Evidence } from '../../../src/model/evidence.ts';
import { parseInput } from '../../../src/model/input.ts';

let example: string;
beforeAll(async () => {
  example = await readFile(new URL('../../../holdfast.example.yaml', import.meta.url), 'utf8');
});

/** What the example leaves out: a site that can take shop over. */
const TAKEOVER = `    takeover: {recovery: {address: shop.second, port: 5433, tls: {certFile: /c, keyFile: /k}}}
    endpoints: [{file: {path: /etc/shop.env, url: DATABASE_URL}}]
`;

/** A database of MySQL beside the example's. */
const STORE = `  store:
    engine: mysql
    host: db1
    connection: {host: 127.0.0.1, port: 3306, user: holdfast, database: shop}
    mysql: {logDirectory: /var/lib/mysql}
`;

function facts(change: Partial<RunbookFacts> = {}, more = '', name = 'shop'): RunbookFacts {
  const config = parseConfig(`${example.trimEnd()}\n${more}`, 'holdfast.yaml');
  const database = describeDatabase(config, name);
  const rest = {
    temporal: { address: 'temporal:7233', namespace: 'default' },
    protection: protectionOf(name, database.config).lines,
    ...{ again: [], measured: [], measuredNote: null, writtenAt: new Date('2026-01-31T15:00:00Z') },
  };
  return { ...factsOf(config, database, rest), ...change };
}

const documentsOf = (change: Partial<RunbookFacts> = {}, more = '', name = 'shop') =>
  Object.fromEntries(
    runbookDocuments(facts(change, more, name)).map(({ name, markdown }) => [name, markdown]),
  );

/** The lines within `sh` blocks that start with this program's name, as words; variables keep their names. */
function commandsOf(markdown: string, program: string): string[][] {
  return [...markdown.matchAll(/```sh\n([\s\S]*?)```/g)]
    .flatMap(([, block]) => (block ?? '').split('\n'))
    .filter((line) => line.startsWith(`${program} `))
    .map((line) => [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map((m) => m[1] ?? m[2] ?? m[3] ?? ''));
}

function commandLines(program: string): string[][] {
  const again = { again: ['--config', 'a b.yaml'] };
  const documents = [documentsOf(again), documentsOf(again, TAKEOVER), documentsOf(again, STORE, 'store')];
  const all = documents.flatMap((each) => Object.values(each));
  const unique = new Map(
    all.flatMap((each) => commandsOf(each, program)).map((words) => [words.join('\u0000'), words]),
  );
  return [...unique.values()];
}

/** Commander parses, nothing runs. */
function disarm(command: Command): void {
  command.action(() => {}).configureOutput({ writeErr: () => {}, outputError: () => {} });
  for (const child of command.commands) disarm(child);
}

test('every command of this program is one that the program knows, with its options', async () => {
  const refused: string[] = [];
  for (const [, ...given] of commandLines('holdfast')) {
    try {
      const program = await createProgram('0.0.0', given);
      for (const child of program.commands) {
        if (child.commands.length === 0) disarm(child);
        else for (const grandchild of child.commands) disarm(grandchild);
      }
      program.configureOutput({ writeErr: () => {}, outputError: () => {} });
      await program.parseAsync(given, { from: 'user' });
    } catch (error) {
      refused.push(`${given.join(' ')}: ${(error as Error).message}`);
    }
  }
  expect(refused).toEqual([]);
});

test('the inputs given to Temporal are JSON, and that of a start is one the workflow takes', () => {
  const lines = commandLines('temporal');
  const inputs = lines.flatMap((words) => {
    const at = words.indexOf('--input');
    return at < 0 ? [] : [{ words, input: JSON.parse(words[at + 1] ?? '') as unknown }];
  });
  expect(inputs).toHaveLength(7);
  const startOf = (type: string) => inputs.find(({ words }) => words.includes(type))?.input as object;
  const recovery = { ...startOf('pointInTimeRecovery'), target: { xid: '4711' } };
  expect(parseInput('pointInTimeRecovery', recovery)).toMatchObject({ database: 'shop' });
  expect(parseInput('selectiveTableRestore', startOf('selectiveTableRestore'))).toMatchObject({
    ...{ database: 'shop', tables: ['SCHEMA.TABLE'] },
  });
  expect(parseInput('fullDisasterRecovery', startOf('fullDisasterRecovery'))).toMatchObject({
    ...{ database: 'shop', site: 'recovery' },
  });
  for (const words of lines)
    expect(words.slice(-4)).toEqual(['--address', 'temporal:7233', '--namespace', 'default']);
});

test('names, objectives, queues, tiers and the approval policy are those of the configuration', () => {
  const text = documentsOf()['point-in-time-recovery'] ?? '';
  for (const part of [
    'RPO 1h (class financial), RTO 30m (class critical-saas)',
    'holdfast, holdfast-host-db1, holdfast-site-recovery',
    'bucket example-backups in eu-west-1',
    '- physical: full ',
    'One person must approve the plan before production changes: anyone.',
    'may not be among them. After 1d',
  ]) {
    expect(text).toContain(part);
  }
  expect(text).not.toContain('SHOP_PASSWORD');
});

describe('full disaster recovery', () => {
  const full = (change: Partial<RunbookFacts> = {}, more = '') =>
    documentsOf(change, more)['full-disaster-recovery'] ?? '';

  test('of a database that no site can take over says which lines to add, and what works instead', () => {
    const document = full();
    expect(document).toContain('**No site can take shop over**');
    expect(document).toContain('      recovery: {address: WHERE CLIENTS REACH IT, port: 5432}');
    expect(document).toContain('holdfast doctor --site recovery');
    expect(document).not.toContain('holdfast restore full');
    expect(document).toContain('aws s3 cp "s3://example-backups/manifest/shop/$BACKUP.RESTORE.md" -');
    expect(document).toContain('Not measured yet');
  });

  test('has the names of the site, its commands, both decisions and what is lost with a rejection', () => {
    const document = full({}, TAKEOVER);
    expect(document).not.toContain('Not prepared yet');
    expect(document).toContain('holdfast restore full shop --site "$SITE" --reason "$REASON"');
    expect(document).toMatch(/\| recovery \| shop\.second:5433 \| .*\/production, run by postgres \|/);
    expect(document).toContain('- file /etc/shop.env');
    expect(document).toContain('holdfast-site-recovery');
    expect(document).toContain('By approving you say that nobody can write to the old server any more');
    for (const part of [
      'first decision: recover',
      'second decision: switch',
      'rejected, expires',
      'should it come back',
    ])
      expect(document).toContain(part);
    expect(full({}, `${TAKEOVER}    fence: {command: [/bin/stop, shop now]}\n`)).toContain(
      "`/bin/stop 'shop now'`",
    );
  });

  test('has the times of earlier ones, of the step too', () => {
    const disaster = { achieved: { rpoSeconds: 1, rtoSeconds: 2 } } as Evidence['disaster'];
    const recovered = { ...run(40, 7), disaster };
    const status = { ...recovered.status, runbook: 'fullDisasterRecovery' };
    const measured = measuredOf([{ ...recovered, status } as Evidence]);
    expect(measured).toMatchObject([{ runbook: 'fullDisasterRecovery', how: 'imported', medianSeconds: 40 }]);
    expect(full({ measured }, TAKEOVER)).toMatch(/\| restore \| the files of the backup.*\| 7s \|/);
  });
});

describe('of MySQL', () => {
  const documents = () => documentsOf({}, STORE, 'store');

  test('have its targets, tables and places, and no words of PostgreSQL', () => {
    const { 'point-in-time-recovery': pitr = '', 'selective-table-restore': table = '' } = documents();
    expect(pitr).toContain('| binary logs | /var/lib/mysql |');
    expect(pitr).toContain('holdfast restore pitr store --gtid "$GTID" --exclusive --table "$TABLE"');
    for (const text of [pitr, table]) expect(text).toContain('TABLE=shop.orders');
    for (const text of Object.values(documents())) {
      expect(text).not.toMatch(/pgBackRest|PostgreSQL|psql|LSN|stanza|public\.|physical backup|timeline|WAL/);
    }
  });

  test('say plainly that a full recovery is not supported, and what is', () => {
    const full = documents()['full-disaster-recovery'] ?? '';
    expect(full).toContain('## Not supported yet');
    expect(full).toContain('holdfast restore pitr store --latest --site recovery --keep-instance 24h');
    expect(full).not.toMatch(/restore full|takeover|Who to ask/);
    expect(full).toContain('aws s3 cp "s3://example-backups/logical/store/$BACKUP/RESTORE.md" -');
  });
});

test('the selective restore has its own commands, names and times', () => {
  const selective = { ...run(12, 3), status: { ...run(12, 3).status, runbook: 'selectiveTableRestore' } };
  const document = documentsOf({ measured: measuredOf([selective as Evidence]) })['selective-table-restore'];
  expect(document).toContain(
    'holdfast restore table shop --table "$TABLE" --backup "$BACKUP" --reason "$REASON"',
  );
  expect(document).toContain('ID=table/shop/');
  expect(document).toMatch(/\| restore \| a new, isolated server.*\| 3s \|/);
  expect(document).not.toContain('retarget');
  expect(document).not.toContain('not in this version');
});

describe('measured times', () => {
  test('are medians of completed runs, without the waiting for people', () => {
    const measured = measuredOf([run(10, 5), run(30, 7), run(20, 9), run(99, 99, 'failed')]);
    expect(measured).toMatchObject([
      { runbook: 'pointInTimeRecovery', runs: 3, medianSeconds: 20, slowestSeconds: 30 },
    ]);
    expect(measured[0]?.steps).toEqual([{ name: 'restore', seconds: 7 }]);
    const text = documentsOf({ measured })['point-in-time-recovery'];
    expect(text).toContain('3 completed runs, the newest of 2026-01-31: median 20s, slowest 30s');
    expect(text).toContain('| restore | 7s |');
    expect(text).toContain('within the RTO of 30m');
  });

  test('drills have theirs beside those of real runs', () => {
    const drills = [
      { runbook: 'pointInTimeRecovery', recoverySeconds: 60, finishedAt: '2026-02-02T00:00:00Z' },
      { runbook: 'pointInTimeRecovery', recoverySeconds: null, finishedAt: '2026-02-01T00:00:00Z' },
    ].map((drill) => ({ ...drill, steps: [{ name: 'restore', seconds: 40 }] }) as DrillRecord);
    const measured = measuredOf([run(10, 5)], drills);
    expect(measured).toMatchObject([
      { how: 'not imported', runs: 1, medianSeconds: 10 },
      { how: 'drilled', runs: 1, medianSeconds: 60, steps: [{ name: 'restore', seconds: 40 }] },
    ]);
    expect(documentsOf({ measured })['point-in-time-recovery']).toContain(
      'In drills, with the import as its plan estimates it: 1 drill, the newest of 2026-02-02: median 1m',
    );
  });

  test('are without the time that a step was parked, and tell imports from exports and hand-overs', () => {
    const parked = run(20, 900);
    Object.assign(parked.status.steps[0] ?? {}, { parkedSeconds: 880 });
    const measured = measuredOf([{ ...run(50, 5), imported: { transaction: '790' } }, parked, run(2, 1)]);
    expect(measured).toMatchObject([
      { how: 'imported', runs: 1, medianSeconds: 50, steps: [{ name: 'restore', seconds: 5 }] },
      { how: 'not imported', runs: 2, medianSeconds: 11, steps: [{ name: 'restore', seconds: 10.5 }] },
    ]);
    const text = documentsOf({ measured })['point-in-time-recovery'];
    expect(text).toContain(
      'With a change of production: 1 completed run, the newest of 2026-01-31: median 50s',
    );
    expect(text).toContain('Without one (export, hand-over): 2 completed runs');
    // The table of steps has those of the import.
    expect(text).toMatch(/\| restore \| the files of the backup.*\| 5s \|/);
  });

  test('beyond the objective are said to be so', () => {
    expect(documentsOf({ measured: measuredOf([run(1_801, 5)]) })['point-in-time-recovery']).toContain(
      '**beyond** the RTO of 30m',
    );
  });

  test('that could not be read are not taken for none', () => {
    const none = { measured: null as Measured[] | null, measuredNote: 'no answer' };
    expect(documentsOf(none)['point-in-time-recovery']).toContain('Not known: no answer.');
  });
});

test('the command has an example and the options of every command', () => {
  const options = runbookCommand().options.map(({ long }) => long);
  expect(options).toEqual(['--out', '--config', '--output']);
});

function run(recoverySeconds: number, restore: number, outcome = 'completed'): Evidence {
  const at = (seconds: number) =>
    new Date(Date.parse('2026-01-31T14:00:00Z') + seconds * 1_000).toISOString();
  const step = (name: string, seconds: number) => ({
    ...{ name, state: 'done', startedAt: at(0), finishedAt: at(seconds), detail: null },
  });
  return {
    status: {
      runbook: 'pointInTimeRecovery',
      outcome,
      steps: [step('restore', restore), step('decide', 900)],
    },
    ...{ recoverySeconds, writtenAt: at(0) },
  } as unknown as Evidence;
}
