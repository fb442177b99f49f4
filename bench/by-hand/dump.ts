import { fileURLToPath } from 'node:url';
import { accessOf } from '../../src/client/dev/mysql-sample.ts';
import { writeOptionFile } from '../../src/engines/mysql/option-file.ts';
import { dumpPrograms as mysqlPrograms } from '../../src/engines/mysql/programs.ts';
import { dumpPrograms } from '../../src/engines/postgres/programs.ts';
import type { MysqlStack } from '../mysql-stack.ts';
import type { PostgresStack } from '../postgres-stack.ts';
import { uploadOutput } from './upload.ts';

const POSTGRES = 15;
const MYSQL = 800;
const SCRIPT = fileURLToPath(new URL('mysql-dump.sh', import.meta.url));

/** `pg_dump -Fc` with its own compression, uploaded as it comes. */
export async function dumpPostgresByHand(
  stack: PostgresStack,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  const { hostname, port, username, password, pathname } = new URL(stack.url);
  const { pgDump } = await dumpPrograms(POSTGRES);
  const env = {
    ...{ PGHOST: hostname, PGPORT: port, PGUSER: username, PGDATABASE: pathname.slice(1) },
    PGPASSWORD: decodeURIComponent(password),
  };
  await uploadOutput(stack, { file: pgDump, args: ['-Fc'], env }, key, signal);
}

/** `mysqldump | gzip`, uploaded as it comes; of the one db, by the same program as ours. */
export async function dumpMysqlByHand(stack: MysqlStack, key: string, signal: AbortSignal): Promise<void> {
  const { dump, flavour } = await mysqlPrograms(MYSQL);
  const access = accessOf(stack.url);
  const options = await writeOptionFile(access, flavour);
  try {
    const env = { DUMP: dump, OPTIONS: options.argument, DATABASE: access.database };
    await uploadOutput(stack, { file: 'bash', args: [SCRIPT], env }, key, signal);
  } finally {
    await options.remove();
  }
}
