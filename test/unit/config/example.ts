import { parseConfig } from '../../../src/config/load.ts';
import type { Config } from '../../../src/config/schema.ts';

/** A small configuration that is right; `databases` as YAML, indented by two, replaces its one database. */
export function exampleText(options: { databases?: string; top?: string } = {}): string {
  return `version: 1
repository:
  region: eu-west-1
  bucket: backups
  lock: {mode: COMPLIANCE}
hosts: {db1: {}, db2: {}}
sites:
  here: {hosts: [db1], directory: instances}
${options.top ?? ''}databases:
${options.databases ?? databaseText('shop')}`;
}

/** One PostgreSQL database; `more` are further lines of it, without indentation. */
export function databaseText(name: string, more = '', host = 'db1'): string {
  const lines = [
    'engine: postgres',
    `host: ${host}`,
    'connection: {host: 127.0.0.1, port: 5432, user: holdfast, database: shop}',
    `postgres: {dataDirectory: /data/${name}}`,
    ...more.split('\n').filter((line) => line !== ''),
  ];
  return `  ${name}:\n${lines.map((line) => `    ${line}\n`).join('')}`;
}

export function exampleConfig(options: { databases?: string; top?: string } = {}): Config {
  return parseConfig(exampleText(options), 'holdfast.yaml');
}
