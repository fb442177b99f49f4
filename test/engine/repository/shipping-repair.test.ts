import { afterAll, beforeAll, expect, test } from 'vitest';
import { audit } from '../../../src/repository/audit/audit.ts';
import { readAuditFacts } from '../../../src/repository/audit/read.ts';
import { chooseBackup } from '../../../src/repository/choice.ts';
import { applyRepair } from '../../../src/repository/repair/apply.ts';
import { planRepair } from '../../../src/repository/repair/plan.ts';
import { listShippedLogs, readLogRecord } from '../../../src/repository/shipped/logs.ts';
import { logsOf } from '../../../src/repository/shipped/transaction.ts';
import { quietly } from '../mysql-server.ts';
import { collect } from './fixture.ts';
import { type ShippingFixture, startShipping } from './shipping-fixture.ts';

let shop: ShippingFixture;
beforeAll(async () => {
  shop = await startShipping('mariadb-10.11');
  await shop.backup('base');
  for (let at = 0; at < 3; at += 1) {
    await shop.insert(at);
    await shop.round();
  }
});
afterAll(() => shop?.end());

const facts = async (thorough = false) => {
  const read = await readAuditFacts(shop.deps.config, shop.repository, {
    ...quietly,
    now: new Date(),
    thorough,
  });
  expect(read.findings).toEqual([]);
  return read.facts;
};
const told = async () => {
  const { findings } = audit(await facts());
  return findings.filter(({ code }) => code !== 'never-expires').map(({ code }) => code);
};
const plan = () => planRepair(shop.repository, shop.deps.config, ['shop'], { now: new Date(), run: quietly });
const latest = async () => {
  const known = await shop.known();
  const choice = chooseBackup({ ...known, target: { latest: true }, now: new Date() });
  return { choice, logs: logsOf(choice, known.shipped ?? []) };
};
async function contents(): Promise<string[]> {
  const { logs } = await latest();
  return Promise.all(logs.map(async ({ name }) => (await shop.contentOf(name)).toString('base64')));
}

test('the audit reads what lies there: nodes of logs that the backup leads into, locked and encrypted', async () => {
  for (const thorough of [false, true]) {
    const { databases, orphans } = await facts(thorough);
    const nodes = databases[0]?.nodes ?? [];
    expect(orphans).toEqual([]);
    expect(nodes.map(({ kind }) => kind)).toEqual(['logical', 'logs']);
    const [base, logs] = nodes;
    const { shipped = [] } = await shop.known();
    expect(base?.replayFrom).toMatchObject({ archive: shipped[0]?.lineage, first: shipped[0]?.number });
    expect(logs).toMatchObject({ missing: [], segments: { archive: shipped[0]?.lineage } });
    expect(logs?.versions).toHaveLength(2 * shipped.length);
    const asked = logs?.versions.filter(({ lock }) => lock !== undefined) ?? [];
    expect(asked.length).toBe(thorough ? 2 * shipped.length : 2);
    for (const { lock, kmsKeyId } of asked) {
      expect(lock?.until).toBeGreaterThan(Date.now() + 8 * 86_400_000);
      expect(kmsKeyId).toContain(shop.storage.server.kmsKeyId);
    }
  }
});

test('what the writer deletes and overwrites with its own rights is put back, and a recovery reads the same again', async () => {
  const before = await contents();
  const { choice } = await latest();
  expect((await plan()).mends).toEqual([]);
  const keys = (await collect(shop.repository.list('log/shop/'))).map(({ key }) => key);
  expect(keys).toHaveLength(6);
  for (const [at, key] of keys.entries()) {
    // A forged record is good JSON, and says that it is one.
    const forged = key.endsWith('.json')
      ? JSON.stringify({ formatVersion: 1, database: 'shop', name: 'x', objects: [] })
      : 'forged';
    if (at % 3 !== 0) await shop.repository.put(key, forged);
    if (at % 3 !== 1) await shop.repository.remove(key);
  }
  expect(await told()).toContain('behind-marker');
  const { mends, lost } = await plan();
  expect(lost).toEqual([]);
  expect(mends.map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
  // Objects first: with its record a log is one again.
  const kinds = mends.map(({ key }) => key.endsWith('.json'));
  expect(kinds).toEqual(kinds.toSorted());
  const done = await applyRepair(shop.repository, mends, { now: new Date(), run: quietly });
  expect(done.failed).toEqual([]);
  expect((await plan()).mends).toEqual([]);
  expect((await latest()).choice).toMatchObject({ lastLog: choice.lastLog, segments: choice.segments });
  expect(await contents()).toEqual(before);
  expect((await shop.catalog()).gaps).toEqual([]);
  const problems = (await told()).filter((code) => code !== 'lock-short' && code !== 'not-locked');
  expect(problems).toEqual([]);
});

test('a record that was overwritten is read as it was first, before anybody repairs it', async () => {
  const [log] = await listShippedLogs(shop.repository, 'shop');
  const record = await readLogRecord(shop.repository, log as NonNullable<typeof log>);
  const forged = { ...record, sha256: 'f'.repeat(64), objects: [] };
  await shop.repository.put(log?.key ?? '', JSON.stringify(forged));
  expect(await readLogRecord(shop.repository, log as NonNullable<typeof log>)).toEqual(record);
  expect(await told()).toContain('overwritten');
  const { mends } = await plan();
  expect(mends).toMatchObject([{ key: log?.key, copy: true, of: `log ${log?.name} of shop` }]);
  await applyRepair(shop.repository, mends, { now: new Date(), run: quietly });
});

test('content that is not what was shipped is refused at its end', async () => {
  const log = (await listShippedLogs(shop.repository, 'shop')).at(-1);
  const record = await readLogRecord(shop.repository, log as NonNullable<typeof log>);
  const { shippedContent } = await import('../../../src/repository/shipped/logs.ts');
  const read = async (changed: Partial<typeof record>) => {
    for await (const _ of shippedContent(shop.repository, { ...record, ...changed }).open(quietly.signal));
  };
  await read({});
  await expect(read({ sha256: 'f'.repeat(64) })).rejects.toMatchObject({ type: 'ChecksumMismatch' });
  await expect(read({ sizeBytes: record.sizeBytes + 1 })).rejects.toMatchObject({ type: 'ChecksumMismatch' });
  const other = await shop.repository.put('log/shop/forged', 'no zstd at all');
  await expect(read({ objects: [other] })).rejects.toMatchObject({ type: 'ChecksumMismatch' });
  await shop.repository.remove('log/shop/forged', other.versionId);
});
