import { loadavg } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { reportFailure } from '../src/client/options.ts';
import { bundleWorkflows } from '../test/workflow-bundle.ts';
import { benchAudit } from './audit.ts';
import { benchCompare } from './compare.ts';
import { benchContinuity } from './continuity.ts';
import { benchDisaster } from './disaster.ts';
import { benchImport } from './import.ts';
import { benchLogical } from './logical.ts';
import type { Row } from './measure.ts';
import * as mysql from './mysql.ts';
import { withMysqlStack } from './mysql-stack.ts';
import { benchOverhead } from './overhead.ts';
import * as postgres from './postgres.ts';
import { withPostgresStack } from './postgres-stack.ts';
import { benchRecovery } from './recovery.ts';
import { memoryRows, tableOf } from './report.ts';
import { benchSelective } from './selective.ts';
import { benchVerification } from './verification.ts';
import { benchWatch } from './watch.ts';

const NAMES = [
  'overhead',
  'logical',
  'recovery',
  'compare',
  'import',
  'selective',
  'verification',
  'disaster',
  'audit',
  'continuity',
  'watch',
  'mysql-logical',
  'mysql-recovery',
] as const;
type Name = (typeof NAMES)[number];
/** those that share one stack, and its data */
const ON_POSTGRES: readonly Name[] = ['logical', 'recovery', 'selective', 'verification'];
const ON_MYSQL: readonly Name[] = ['mysql-logical', 'mysql-recovery'];

interface Options {
  pairs: number;
  scale: number;
  only?: Name;
  output: 'text' | 'json';
}

const options = new Command('bench')
  .description('how fast Holdfast is beside the same work done by hand: both sides in turn, on this machine')
  .option('--pairs <number>', 'how often each side runs', positive, 3)
  .option('--scale <number>', "pgbench's scale; all other tables grow with it", positive, 70)
  .addOption(new Option('--only <name>', 'one part').choices(NAMES))
  .addOption(
    new Option('--output <format>', 'what is written to stdout').choices(['text', 'json']).default('text'),
  )
  .parse()
  .opts<Options>();

process.exitCode = await main(options);

/** 0: every bound was met; 1: one was missed, or the run failed. */
async function main({ pairs, scale, only, output }: Options): Promise<number> {
  const stop = new AbortController();
  const interrupt = () => stop.abort(new Error('interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  const { signal } = stop;
  const begun = Date.now();
  const say = (line: string) => {
    const minutes = ((Date.now() - begun) / 60_000).toFixed(1);
    process.stderr.write(`[${minutes} min, load ${loadavg()[0]?.toFixed(1)}] ${line}\n`);
  };
  const wants = (name: Name) => only === undefined || only === name;
  const rows: Row[] = [];
  try {
    // Bundled once, for the workers here and the one that is started.
    const bundle = await bundleWorkflows();
    if (bundle !== null) process.env.HOLDFAST_WORKFLOW_BUNDLE = bundle;
    if (wants('audit')) rows.push(await benchAudit({ pairs, say }));
    if (wants('overhead')) rows.push(await benchOverhead({ pairs, signal, say }));
    if (wants('compare')) rows.push(await benchCompare({ pairs, scale, signal, say }));
    if (wants('import')) rows.push(await benchImport({ pairs, scale, signal, say }));
    if (ON_POSTGRES.some(wants)) {
      const measured = await withPostgresStack({ signal, say }, async (stack) => {
        const bytes = await postgres.prepare(stack, scale, signal);
        say(`PostgreSQL holds ${(bytes / 1e9).toFixed(2)} GB`);
        const found: Row[] = [];
        const logical = postgres.logicalCase(stack, signal);
        if (wants('logical')) found.push(...(await benchLogical(stack, logical, { pairs, say })));
        const recovery = postgres.recoveryCase(stack, scale, signal);
        if (wants('recovery')) found.push(await benchRecovery(stack, recovery, { pairs, signal, say }));
        if (wants('selective')) found.push(await benchSelective(stack, { pairs, signal, say }));
        if (wants('verification')) found.push(await benchVerification(stack, { pairs, signal, say }));
        return [...found, ...memoryRows('memory', stack.memory, found)];
      });
      rows.push(...measured);
    }
    if (ON_MYSQL.some(wants)) {
      const measured = await withMysqlStack({ signal, say }, async (stack) => {
        const bytes = await mysql.prepare(stack, scale);
        say(`MySQL holds ${(bytes / 1e9).toFixed(2)} GB`);
        const found: Row[] = [];
        const logical = mysql.logicalCase(stack, signal);
        if (wants('mysql-logical')) found.push(...(await benchLogical(stack, logical, { pairs, say })));
        const recovery = mysql.recoveryCase(stack, scale, signal);
        if (wants('mysql-recovery')) found.push(await benchRecovery(stack, recovery, { pairs, signal, say }));
        return [...found, ...memoryRows('mysql-memory', stack.memory, found)];
      });
      rows.push(...measured);
    }
    if (wants('continuity')) rows.push(await benchContinuity({ pairs, signal, say }));
    if (wants('watch')) rows.push(await benchWatch({ pairs, signal, say }));
    if (wants('disaster')) rows.push(...(await benchDisaster({ pairs, scale, signal, say })));
  } catch (error) {
    if (!stop.signal.aborted) return reportFailure(error, output);
    process.stderr.write('interrupted\n');
    return 1;
  }
  process.stdout.write(`${output === 'json' ? JSON.stringify({ pairs, scale, rows }) : tableOf(rows)}\n`);
  return rows.some((row) => row.missed) ? 1 : 0;
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('a whole number above 0');
}
