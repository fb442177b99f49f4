import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Run } from '../../../src/model/progress.ts';
import { openRepository } from '../../../src/repository/repository.ts';
import { archivedOf, requestThaw } from '../../../src/repository/thaw.ts';
import { type AwsObject, startAwsLike } from './aws-like.ts';

const quietly: Run = { signal: new AbortController().signal, progress: () => {} };
const NEEDED = {
  ...{ stanza: 'shop', backups: ['full'], serverMajor: 15, timelines: { from: 1, to: 1 }, logs: null },
};
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toUTCString();
const copyUntil = (until: string) => ({ 'x-amz-restore': `ongoing-request="false", expiry-date="${until}"` });
const glacier = (headers: Record<string, string> = {}): AwsObject => ({ storageClass: 'GLACIER', headers });
const tiered = (status?: string): AwsObject => ({
  storageClass: 'INTELLIGENT_TIERING',
  headers: status === undefined ? {} : { 'x-amz-archive-status': status },
});

let closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});

async function holding(objects: Record<string, AwsObject>) {
  const directory = await mkdtemp(join(tmpdir(), 'hf-aws-'));
  const named = Object.entries(objects).map(([name, one]) => [`pgbackrest/backup/shop/full/${name}`, one]);
  const s3 = await startAwsLike(directory, Object.fromEntries(named));
  process.env.THAW_TEST_KEY = 'key';
  const key = { env: 'THAW_TEST_KEY' };
  const repository = await openRepository(
    {
      ...{ region: 'eu-west-1', bucket: 'backups', prefix: '', pathStyle: true },
      ...{
        endpoint: s3.endpoint,
        caFile: s3.caFile,
        credentials: { accessKeyId: key, secretAccessKey: key },
      },
    },
    { use: 'backup', baseDirectory: directory, patienceMs: 0 },
  );
  closing.push(
    () => rm(directory, { recursive: true }),
    () => s3.end(),
    () => repository.close(),
  );
  const asked = () =>
    s3.requests.map(({ key: name, body }) => `${name.split('/').at(-1)} ${partsOf(body)}`).sort();
  return { repository, asked };
}

const partsOf = (body: string) =>
  `${/<Tier>(\w+)</.exec(body)?.[1]}${/<Days>(\d+)</.exec(body)?.[1]?.replace(/^/, ' ') ?? ''}`;

test('asks for what is away, by class; not for what is readable, on its way or back', async () => {
  const { repository, asked } = await holding({
    standard: { storageClass: 'STANDARD', headers: {} },
    instant: { storageClass: 'GLACIER_IR', headers: {} },
    away: glacier(),
    coming: glacier({ 'x-amz-restore': 'ongoing-request="true"' }),
    back: glacier(copyUntil(inDays(5))),
    ending: glacier(copyUntil(inDays(0.1))),
    deep: { storageClass: 'DEEP_ARCHIVE', headers: {} },
    frequent: tiered(),
    cool: tiered('ARCHIVE_ACCESS'),
    cold: tiered('DEEP_ARCHIVE_ACCESS'),
  });
  expect(await archivedOf(repository, NEEDED, 'Expedited', quietly)).toEqual({
    storageClass: 'ARCHIVE_ACCESS and DEEP_ARCHIVE and DEEP_ARCHIVE_ACCESS and GLACIER',
    ...{ objects: 6, bytes: 6_000, hours: 12 },
  });
  const order = { tier: 'Expedited', keepMs: 2.5 * 86_400_000 } as const;
  expect(await requestThaw(repository, NEEDED, order, quietly)).toEqual({ left: 6 });
  // Only what goes again is kept for days; nothing comes back expedited from the deep archives.
  expect(asked()).toEqual([
    ...['away Expedited 3', 'cold Standard', 'cool Expedited', 'deep Standard 3', 'ending Expedited 3'],
  ]);
});

test('what somebody else asked for between the look and the request is no failure', async () => {
  const busy = { status: 409, code: 'RestoreAlreadyInProgress' };
  const there = { status: 403, code: 'ObjectAlreadyInActiveTierError' };
  const { repository } = await holding({
    away: { ...glacier(), refusal: busy },
    cool: { ...tiered('ARCHIVE_ACCESS'), refusal: there },
  });
  const order = { tier: 'Standard', keepMs: 86_400_000 } as const;
  expect(await requestThaw(repository, NEEDED, order, quietly)).toEqual({ left: 2 });
});

test.each([
  [503, 'GlacierExpeditedRetrievalNotAvailable', /no capacity for expedited/],
  [403, 'AccessDenied', /refused \(AccessDenied\)/],
])('%s %s is said', async (status, code, message) => {
  const { repository } = await holding({ away: { ...glacier(), refusal: { status, code } } });
  const order = { tier: 'Expedited', keepMs: 86_400_000 } as const;
  await expect(requestThaw(repository, NEEDED, order, quietly)).rejects.toThrow(message);
});
