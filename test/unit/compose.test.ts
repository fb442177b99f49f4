import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { CONTROL_QUEUE, hostQueue } from '../../src/model/queue.ts';
import { parseRoles } from '../../src/workers/roles.ts';

interface Service {
  image?: string;
  build?: { context: string; target: string };
  command?: string[];
  entrypoint?: string[];
  environment?: Record<string, string>;
  secrets?: string[];
  volumes?: string[];
  ports?: string[];
  restart?: string;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
}
interface Compose {
  services: Record<string, Service>;
  secrets: Record<string, { file: string }>;
  configs: Record<string, { file: string }>;
  volumes: Record<string, unknown>;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFile(join(root, path), 'utf8');
const compose = parse(await read('docker-compose.yml'), { merge: true }) as Compose;
const services = Object.entries(compose.services);
const config = await loadConfig(join(root, 'deploy/compose/holdfast.yaml'));

test('docker-compose.yml has the form that the Compose Specification asks for', async () => {
  const ajv = new Ajv({ strict: false, allErrors: true });
  (addFormats as unknown as (ajv: Ajv) => void)(ajv);
  const { $schema: _, ...schema } = JSON.parse(await read('test/fixtures/compose-spec.schema.json'));
  const validate = ajv.compile(schema);
  expect(validate(compose), ajv.errorsText(validate.errors)).toBe(true);
  expect(validate({ services: { worker: { image: 'holdfast', helthcheck: {} } } })).toBe(false);
});

test('images are pinned by a version, or built here', async () => {
  const targets = [...(await read('Dockerfile')).matchAll(/^FROM (\S+) AS (\S+)$/gm)];
  for (const [name, { image, build }] of services) {
    expect(image, name).toMatch(/^[a-z0-9/-]+:[0-9][\w.-]*$/);
    if (build !== undefined) expect(targets.map((target) => target[2])).toContain(build.target);
  }
  for (const target of targets) expect(target[1]).toMatch(/:(?:\d|bookworm)/);
});

test('the S3 server is the version that set-up installs', async () => {
  const pin = /^MINIO=(\S+)$/m.exec(await read('scripts/setup.sh'))?.[1];
  expect(pin).toBeDefined();
  expect(await read('Dockerfile')).toContain(`github.com/minio/minio@${pin}`);
});

test('what is named exists, and only what is named', () => {
  const used = { secrets: new Set<string>(), volumes: new Set<string>() };
  for (const [name, service] of services) {
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      const target = compose.services[other];
      expect(target, `${name} waits for ${other}`).toBeDefined();
      const ends = target?.restart === undefined;
      expect(condition, `${name} waits for ${other}`).toBe(
        ends ? 'service_completed_successfully' : 'service_healthy',
      );
    }
    for (const secret of service.secrets ?? []) used.secrets.add(secret);
    for (const volume of service.volumes ?? []) used.volumes.add(volume.split(':')[0] as string);
    for (const file of [...(service.entrypoint ?? []), ...(service.healthcheck?.test ?? [])]) {
      if (file.startsWith('/holdfast/'))
        expect(existsSync(join(root, file.slice('/holdfast/'.length))), file).toBe(true);
    }
  }
  expect([...used.secrets].sort()).toEqual(Object.keys(compose.secrets).sort());
  expect([...used.volumes].sort()).toEqual(Object.keys(compose.volumes).sort());
  for (const { file } of Object.values(compose.configs))
    expect(existsSync(join(root, file)), file).toBe(true);
});

test('every service that stays up says whether it is healthy', () => {
  for (const [name, { restart, healthcheck }] of services) {
    if (restart !== undefined) expect(healthcheck, name).toBeDefined();
  }
});

test('nothing is reachable from other machines', () => {
  for (const [, { ports }] of services)
    for (const port of ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
});

test('secrets are in files that make-secrets writes, and nowhere else', async () => {
  for (const [name, { environment }] of services) {
    for (const [variable, value] of Object.entries(environment ?? {})) {
      if (/PASSWORD|PWD|SECRET|TOKEN|_KEY|ROOT_USER/.test(variable)) {
        expect(variable, name).toMatch(/_FILE$/);
        expect(compose.secrets).toHaveProperty([value.replace('/run/secrets/', '')]);
        expect(compose.services[name]?.secrets).toContain(value.replace('/run/secrets/', ''));
      }
    }
  }
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-secrets-'));
  try {
    const make = () =>
      promisify(execFile)(join(root, 'deploy/compose/make-secrets'), {
        env: { ...process.env, HOLDFAST_SECRETS: directory },
      });
    await make();
    const names = (await readdir(directory)).filter((name) => name !== '.gitignore');
    expect(names.sort()).toEqual(Object.keys(compose.secrets).sort());
    for (const [name, { file }] of Object.entries(compose.secrets)) {
      expect(file).toBe(`deploy/compose/secrets/${name}`);
    }
    const values = () => Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')));
    const first = await values();
    expect(new Set(first).size).toBe(names.length);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    await make();
    expect(await values()).toEqual(first);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('the workers have every role of their configuration, and their health checks ask for the queue they serve', () => {
  const roles = services.flatMap(([, { command = [], healthcheck }]) => {
    if (command[0] !== 'worker') return [];
    const found = parseRoles(command[command.indexOf('--roles') + 1] as string, config.config);
    const [first] = found;
    expect(healthcheck?.test.at(-1)).toBe(
      first?.kind === 'control' ? CONTROL_QUEUE : hostQueue(first?.name ?? ''),
    );
    return found;
  });
  expect(roles).toEqual(
    expect.arrayContaining(
      parseRoles(['control', 'host:database', 'host:recovery', 'site:recovery'].join(','), config.config),
    ),
  );
  expect(Object.keys(config.config.hosts).length + Object.keys(config.config.sites).length + 1).toBe(
    roles.length,
  );
});

test('the sample database is where the configuration says', async () => {
  const script = await read('deploy/compose/database');
  const shop = config.config.databases.shop;
  expect(shop?.connection.host).toBe('database');
  expect(script).toContain(`data=\${PGDATA:-${shop?.postgres?.dataDirectory}}`);
  expect(script).toContain(`socket=\${SOCKETS:-${shop?.postgres?.socketDirectory}}`);
  expect(script).toContain(`[${shop?.postgres?.stanza}]`);
  expect(script).toContain(`repo1-s3-bucket=${config.config.repository.bucket}\n`);
  expect(script).toContain(`repo1-s3-region=${config.config.repository.region}\n`);
  expect(`https://${/^repo1-s3-endpoint=(.*)$/m.exec(script)?.[1]}`).toBe(config.config.repository.endpoint);
});
