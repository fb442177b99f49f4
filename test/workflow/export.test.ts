import { ApplicationFailure } from '@temporalio/activity';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { createTestEnvironment } from './environment.ts';
import { comparisonOf, fakeActivities } from './fakes.ts';
import { failureOf, INPUT, record, start, statusOf, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const FILE = {
  table: 'public.orders',
  rows: 25,
  place: 'export/shop/x/orders.csv',
  sizeBytes: 9,
  sha256: 'aa',
};
const exportTables = async () => [FILE];
const EXPORT = { ...INPUT, export: 'csv:repository' };
const LOCKS = ['findChangeHolder', 'importTables', 'verifyImport'];

describe('an export', () => {
  it('of whole tables asks neither people nor production, and leaves its files in the evidence', async () => {
    const fakes = fakeActivities({ activities: { exportTables } });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment, EXPORT);
      const result = (await handle.result()) as RunbookStatus;
      expect(result).toMatchObject({ outcome: 'completed', plan: null, decisions: [] });
      expect(result.steps.map(({ name, state }) => `${name} ${state}`)).toEqual([
        ...['choose base done', 'provision done', 'restore done', 'replay done', 'check done'],
        ...['export done', 'remove instance done'],
      ]);
      expect(result.steps.find(({ name }) => name === 'export')?.detail).toBe(`25 rows in ${FILE.place}`);
      // Looked up in production they would be: it may be gone.
      expect(fakes.inputsOf('chooseBase')).toMatchObject([{ tables: null }]);
      expect(fakes.inputsOf('checkInstance')).toMatchObject([
        { base: { tables: null }, tables: INPUT.tables },
      ]);
      expect(fakes.inputsOf('exportTables')).toMatchObject([
        { tables: INPUT.tables, rows: null, order: { format: 'csv', place: 'repository' } },
      ]);
      for (const name of [...LOCKS, 'compareTables']) expect(fakes.calls).not.toContain(name);
      expect(fakes.evidence()).toMatchObject({ exported: [FILE], imported: null, chosen: null });
      await record('exported', handle);
    });
  });

  it('of the rows that a rule would bring back compares, and asks nobody', async () => {
    const notices = ['public.orders: column scan may name large objects'];
    const fakes = fakeActivities({
      activities: { exportTables: async () => [{ ...FILE, notices }] },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment, { ...EXPORT, export: 'csv:/srv/out', conflict: 'replace' });
      const result = (await handle.result()) as RunbookStatus;
      expect(result.outcome).toBe('completed');
      expect(result.steps.find(({ name }) => name === 'export')?.detail).toBe(
        `25 rows in ${FILE.place}; ${notices[0]}`,
      );
      expect(result.steps.find(({ name }) => name === 'compare')?.detail).toBe('25 rows to export');
      expect(fakes.inputsOf('chooseBase')).toMatchObject([{ tables: INPUT.tables }]);
      expect(fakes.inputsOf('exportTables')).toMatchObject([
        { rows: { conflict: 'replace' }, order: { place: { path: '/srv/out' } } },
      ]);
      for (const name of LOCKS) expect(fakes.calls).not.toContain(name);
      await record('exported-rows', handle);
    });
  });

  it('of rows that a rule cannot tell says why, and what is possible', async () => {
    const found = comparisonOf(25, 'd', { 'insert-missing': 'public.orders has no primary key' });
    const fakes = fakeActivities({ activities: { exportTables, compareTables: async () => found } });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment, { ...EXPORT, conflict: 'insert-missing' });
      const failure = await failureOf(handle.result());
      expect(failure.message).toMatch(/no primary key[\s\S]*HINT: export whole tables/);
      expect(fakes.calls).not.toContain('exportTables');
      await record('export-refused', handle);
    });
  });

  it('does not keep others from changing the database, and may hand the instance over afterwards', async () => {
    const fakes = fakeActivities({ activities: { exportTables } });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment, { ...EXPORT, keepInstance: '5m' });
      await expect
        .poll(async () => (await statusOf(handle)).steps.find(({ name }) => name === 'hand over')?.state)
        .toBe('waiting');
      await expect(
        environment.client.workflow
          .getHandle('change/shop')
          .describe()
          .then(({ status }) => status.name),
      ).rejects.toThrow();
      await handle.signal('resume');
      await handle.result();
      await record('exported-handed-over', handle);
    });
  });

  it('parks where the disk is full, and goes on after resume', async () => {
    let full = true;
    const fakes = fakeActivities({
      activities: {
        exportTables: async () => {
          if (full) throw ApplicationFailure.nonRetryable('there is no room', 'NotEnoughSpace');
          return [FILE];
        },
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment, EXPORT);
      await expect.poll(async () => (await statusOf(handle)).outcome).toBe('parked');
      full = false;
      await handle.signal('resume');
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      await record('export-parked', handle);
    });
  });
});
