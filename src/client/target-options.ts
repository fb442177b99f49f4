import { Option } from 'commander';
import { HoldfastError } from '../model/failure.ts';
import { type Target, targetSchema } from '../model/target.ts';

export interface TargetOptions {
  time?: string;
  lsn?: string;
  xid?: string;
  name?: string;
  gtid?: string;
  backup?: string;
  latest?: true;
  exclusive?: true;
  inclusive?: true;
}

const KINDS = ['time', 'lsn', 'gtid', 'xid', 'name', 'latest', 'backup'] as const;

export const TARGET_OPTIONS: readonly Option[] = [
  new Option('--time <time>', 'to a moment: ISO 8601 with an offset, such as 2026-01-31T14:05:00Z'),
  new Option('--lsn <lsn>', 'to a log position: 0/3000148 (PostgreSQL), binlog.000004:1234 (MySQL, MariaDB)'),
  new Option(
    '--gtid <gtid>',
    'to a transaction by its GTID (MySQL, MariaDB): just before it, unless --inclusive',
  ),
  new Option('--xid <id>', 'to a transaction by its number (PostgreSQL): just before it, unless --inclusive'),
  new Option('--name <name>', 'to a named restore point (PostgreSQL)'),
  new Option('--latest', 'as far as the logs go'),
  new Option('--backup <id>', "to a backup's own consistent point"),
  new Option('--exclusive', 'stop just before the target (default for --gtid and --xid)'),
  new Option('--inclusive', 'stop just after the target').conflicts('exclusive'),
];

/** Whether there is anything of a target, to be read by {@link readTarget}. */
export function isTargeted({ exclusive, inclusive, ...options }: TargetOptions): boolean {
  return exclusive === true || inclusive === true || KINDS.some((kind) => options[kind] !== undefined);
}

/** Exactly one target of the options. Throws InvalidInput in the words of the command line. */
export function readTarget(options: TargetOptions): Target {
  const given = KINDS.filter((kind) => options[kind] !== undefined);
  const kind = given[0];
  if (kind === undefined || given.length > 1) {
    const what =
      kind === undefined
        ? 'no target is given'
        : `${given.map((name) => `--${name}`).join(' and ')} exclude each other`;
    throw new HoldfastError('InvalidInput', what, {
      hint: `give exactly one of ${KINDS.map((name) => `--${name}`).join(', ')}`,
    });
  }
  const exclusive = options.exclusive === true ? true : options.inclusive === true ? false : undefined;
  const target = targetSchema.safeParse({
    [kind]: options[kind],
    ...(exclusive === undefined ? {} : { exclusive }),
  });
  if (target.success) return target.data;
  const why = target.error.issues.map((issue) => issue.message).join('; ');
  throw new HoldfastError('InvalidInput', `--${kind} ${options[kind]}: ${why}`, {
    hint: hintFor(kind, String(options[kind])),
  });
}

/** The two things that a time without an offset may mean, ready to be copied. */
function hintFor(kind: string, text: string): string {
  const naive = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?$/.test(text);
  if (kind !== 'time' || !naive || Number.isNaN(Date.parse(text.replace(' ', 'T')))) {
    return 'the --help of this command has examples';
  }
  const time = text.replace(' ', 'T');
  const local = new Date(time).toISOString().replace(/\.000Z$/, 'Z');
  return local === `${time}Z`
    ? `if it is UTC: --time ${time}Z`
    : `if it is UTC: --time ${time}Z; if it is this machine's time: --time ${local}`;
}
