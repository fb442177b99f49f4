import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findConfig } from '../../../src/config/find.ts';
import { loadConfig, parseConfig } from '../../../src/config/load.ts';
import type { HoldfastError } from '../../../src/model/failure.ts';
import { databaseText, exampleText } from './example.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-config-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function failureOf(text: string): HoldfastError {
  try {
    parseConfig(text, '/etc/holdfast.yaml');
  } catch (error) {
    return error as HoldfastError;
  }
  throw new Error('it was accepted');
}
const withDatabase = (more: string) => exampleText({ databases: databaseText('shop', more) });

test('the example that `holdfast init` writes is right, and so are the fields that it shows as comments', async () => {
  const text = await readFile('holdfast.example.yaml', 'utf8');
  expect(() => parseConfig(text, 'x')).not.toThrow();
  // `#field:` and `#  field:` are fields, `# Text:` is prose.
  const all = text.replace(/^(\s*)#(?=(?: {2})*(?:- \{?)?[a-zA-Z]+:)/gm, '$1');
  const config = parseConfig(all, 'x');
  expect(config.repository).toMatchObject({ endpoint: 'https://s3.example.com', prefix: 'team-a/' });
  expect(config.databases.shop?.tiers).toMatchObject({
    log: { maxAge: '5m' },
    physical: { diff: '0 21 * * 1-6' },
  });
  expect(config.databases.shop?.approval?.people).toBe(2);
});

test('paths are resolved from the directory of the file', async () => {
  const path = join(directory, 'holdfast.yaml');
  await writeFile(path, exampleText());
  expect(await loadConfig(path)).toMatchObject({ path, directory });
});

test('settings may be shared by anchors and merge keys', () => {
  const text = exampleText({
    databases:
      '  shop: &base\n    engine: postgres\n    host: db1\n    postgres: {dataDirectory: /a}\n' +
      '    connection: {host: 127.0.0.1, port: 5432, user: holdfast, database: shop}\n' +
      '  users:\n    <<: *base\n    postgres: {dataDirectory: /b}\n',
  });
  expect(parseConfig(text, 'x').databases.users).toMatchObject({ host: 'db1' });
});

test.each([
  [
    'an unknown field, with the nearest',
    withDatabase('clas: financial'),
    'line 15: databases.shop.clas: unknown field',
    'do you mean class? the fields here are engine, class,',
  ],
  [
    'a value that is not allowed, with the allowed ones',
    exampleText().replace('engine: postgres', 'engine: postgre'),
    'line 11: databases.shop.engine: must be one of postgres, mysql, mongodb',
    'do you mean postgres?',
  ],
  [
    'a class that does not exist, in a list',
    withDatabase('class: [financial, critical-sas]'),
    'databases.shop.class: must be one of financial, user-content, analytics, critical-saas, internal-tools',
    'do you mean critical-saas?',
  ],
  [
    'a field that is missing',
    exampleText().replace('bucket: backups', 'prefix: x/'),
    'line 2: repository.bucket: is missing',
    'docs/configuration.md',
  ],
  [
    'another type',
    exampleText().replace('port: 5432', 'port: "5432"'),
    'line 13: databases.shop.connection.port: must be a number, not text',
    'docs/configuration.md',
  ],
  [
    'a cron expression with an hour that is none',
    withDatabase('tiers: {logical: {schedule: "0 25 * * *"}}'),
    'databases.shop.tiers.logical.schedule: "25" is no hour: 0 to 23 are (five fields, in UTC)',
    'docs/configuration.md',
  ],
  [
    'a name with a capital letter',
    exampleText({ databases: databaseText('Shop') }),
    'line 10: databases.Shop: the name must be lower case letters, digits and dashes, at most 63',
    'docs/configuration.md',
  ],
  [
    'an endpoint without TLS',
    exampleText().replace('bucket:', 'endpoint: http://s3.example.com\n  bucket:'),
    'line 4: repository.endpoint: must be an https URL',
    'docs/configuration.md',
  ],
  ['an empty file', '', 'has 5 errors', 'holdfast config check'],
  [
    'a duration that is none',
    withDatabase('retention: {log: 7 days}'),
    'must be a duration such as',
    'docs/',
  ],
])('names %s', (_name, text, message, hint) => {
  const error = failureOf(text);
  expect(error.type).toBe('InvalidConfiguration');
  expect(error.message).toContain('/etc/holdfast.yaml');
  expect(error.message).toContain(message);
  expect(error.hint).toContain(hint);
});

test('a file that is not YAML is named with its line, and without its text', () => {
  const error = failureOf(exampleText().replace('bucket: backups', 'password: hunter2: x'));
  expect(error.message).toMatch(/^\/etc\/holdfast\.yaml line 4: not YAML: /);
  expect(error.message).not.toContain('hunter2');
});

test('a database that is written twice is refused', () => {
  expect(failureOf(exampleText({ databases: databaseText('shop') + databaseText('shop') })).message).toMatch(
    /line 15: not YAML: .*unique/,
  );
});

test('a secret that is written out is refused without being shown', () => {
  const error = failureOf(exampleText().replace('user: holdfast', 'user: holdfast, password: hunter2'));
  expect(error.message).toContain(
    'must be {env: NAME} or {file: path}: a secret is never written here itself',
  );
  expect(`${error.message} ${error.hint}`).not.toContain('hunter2');
});

test('all errors are told at once, each with its line', () => {
  const error = failureOf(withDatabase('clas: financial\nregoin: x'));
  expect(error.message).toMatch(/has 2 errors:\n {2}line 15: .*clas.*\n {2}line 16: .*regoin/s);
});

test('a file that is not there, or cannot be read, is named', async () => {
  const path = join(directory, 'none.yaml');
  await expect(loadConfig(path)).rejects.toThrow(`the configuration ${path} does not exist`);
  await expect(loadConfig(directory)).rejects.toThrow('cannot be read (EISDIR)');
});

test('the configuration is looked for where the help says, in that order', async () => {
  const place = await mkdtemp(join(directory, 'find-'));
  const find = (given?: string, variable?: string) =>
    findConfig({
      given,
      directory: place,
      environment: variable === undefined ? {} : { HOLDFAST_CONFIG: variable },
    });
  await expect(find()).rejects.toThrow('there is no holdfast.yaml');
  await mkdir(join(place, '.holdfast'));
  await writeFile(join(place, '.holdfast/holdfast.yaml'), '');
  expect(await find()).toBe(join(place, '.holdfast/holdfast.yaml'));
  await writeFile(join(place, 'holdfast.yaml'), '');
  expect(await find()).toBe(join(place, 'holdfast.yaml'));
  expect(await find(undefined, '/from/variable.yaml')).toBe('/from/variable.yaml');
  expect(await find('given.yaml', '/from/variable.yaml')).toBe(join(place, 'given.yaml'));
});
