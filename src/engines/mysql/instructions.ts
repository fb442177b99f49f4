import type { RepositoryConfig } from '../../config/schema.ts';
import type { DumpedDatabase, Manifest, StoredObject } from '../../model/backup.ts';
import { parseNameParts } from '../../model/table.ts';
import type { SnapshotPlace } from '../contract/backup.ts';
import { accessLines, block, required, shellQuote } from '../instructions/shell.ts';
import { thawSection } from '../instructions/thaw.ts';
import type { Flavour } from './flavour.ts';
import { quoteLiteral, quoteTable } from './identifier.ts';
import { replaySection } from './instructions-replay.ts';

/** Tables that RESTORE.md counts; more would make it unreadable on the night it is needed. */
const COUNTED_TABLES = 200;

/** How the flavour's own programs are called. */
export interface ProgramNames {
  server: string;
  client: string;
  binlog: string;
}

const NAMES: Record<Flavour, ProgramNames> = {
  mysql: { server: 'MySQL', client: 'mysql', binlog: 'mysqlbinlog' },
  mariadb: { server: 'MariaDB', client: 'mariadb', binlog: 'mariadb-binlog' },
};

/**
 * Engine.instructions: RESTORE.md of a logical backup, or of a snapshot of one: what restores it with the flavour's own
 * client programs, zstd and an S3 client. The `sh` blocks run as they stand, one after the other in one shell, once the
 * variables of the first are set; the `sh-replay` blocks after them go on to a later moment. `stanza` is PostgreSQL's.
 */
export function instructions(
  manifest: Manifest,
  repository: RepositoryConfig,
  _stanza: string,
  snapshot?: SnapshotPlace,
): string {
  const names = NAMES[flavourOfManifest(manifest)];
  const series = manifest.serverVersion.split('.').slice(0, 2).join('.');
  const fetched = [
    ...(manifest.globals === null ? [] : [manifest.globals]),
    ...manifest.databases.flatMap(({ objects }) => objects),
  ];
  return `${heading(manifest, repository, names)}
You need: \`${names.client}\` of ${names.server} ${series} or newer, \`zstd\`, \`aws\` (any client that can fetch an object by key and version id will
do), disk for ${gigabytes(manifest.databaseBytes)} and the compressed dumps beside it, and an empty ${names.server} ${series} server or newer with a user who may do
everything. Start it with \`event_scheduler=OFF\` and \`skip-log-bin\`, apart from production. **Not the production server**: dbs of the
same names are replaced.
${notices(manifest)}${thawSection(snapshot, repository)}
## 1. Where from, where to

${block([
  'set -eu',
  'umask 077',
  ...accessLines(repository),
  required(
    ['TO_HOST', 'address of the server to restore to'],
    ['TO_PORT', 'its port'],
    ['TO_USER', 'its user who may do everything'],
    ['TO_PASSWORD', "that user's password"],
  ),
  'export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY',
  `mkdir -p ${shellQuote(`restore-${manifest.id}`)}`,
  `cd ${shellQuote(`restore-${manifest.id}`)}`,
  'cat > client.cnf <<END_OF_FILE',
  '[client]',
  'protocol=tcp',
  'host="$TO_HOST"',
  'port=$TO_PORT',
  'user="$TO_USER"',
  `password="$(printf %s "$TO_PASSWORD" | sed 's/[\\\\"]/\\\\&/g')"`,
  'max-allowed-packet=1G',
  'END_OF_FILE',
  `to_server() { ${names.client} --defaults-file=client.cnf --comments --binary-mode "$@"; }`,
  'to_server --execute="SET GLOBAL max_allowed_packet = 1073741824"',
])}

## 2. Fetch, each object in the version that belongs to this backup

${block(fetched.flatMap((object) => fetchLines(object, repository)))}

## 3. The data

Every db's tables, and then every db's views, which may need other dbs.

${block([...manifest.databases.flatMap((db) => loadLines(db, false)), ...manifest.databases.flatMap((db) => loadLines(db, true))])}

## 4. Accounts and grants

After the data, since a right on a table needs the table. Accounts that are there already stay as they are; an error about
one of them, or about a plugin or a right that the new server does not know, is harmless.

${block(manifest.globals === null ? ['# none in this backup'] : [`to_server --force < ${fileOf(manifest.globals)} || true`])}

## 5. Is everything there?

\`expected\` was counted in the dump's own snapshot.

${block(countLines(manifest))}
${replaySection(manifest, repository, names, snapshot)}`;
}

function flavourOfManifest({ serverVersion }: Manifest): Flavour {
  // MariaDB went from 5.5 to 10; MySQL from 5.7 to 8 and 9.
  return Number(serverVersion.split('.')[0]) >= 10 ? 'mariadb' : 'mysql';
}

function heading(manifest: Manifest, repository: RepositoryConfig, { server }: ProgramNames): string {
  const { id, database, copyOf, startedAt, finishedAt, serverVersion, positions } = manifest;
  const what =
    copyOf === undefined ? 'A logical backup (full)' : `A copy of ${copyOf.tier} backup ${copyOf.id}`;
  const at =
    positions.stop === null ? '' : ` It holds everything up to \`${positions.stop}\` in the binary log.`;
  return `# Restore ${database} from backup ${id}

${what} of ${server} ${serverVersion}, taken from ${startedAt} to ${finishedAt}, in bucket
\`${repository.bucket}\`${repository.endpoint === undefined ? '' : ` at ${repository.endpoint}`}.${at} These commands need no Holdfast.
`;
}

function notices(manifest: Manifest): string {
  if (manifest.notices.length === 0) return '';
  return `\nKnow this first:\n${manifest.notices.map((notice) => `- ${notice}`).join('\n')}\n`;
}

function fetchLines(object: StoredObject, repository: RepositoryConfig): string[] {
  const version = object.versionId === null ? '' : ` --version-id ${shellQuote(object.versionId)}`;
  const key = shellQuote(`${repository.prefix}${object.key}`);
  return [
    `aws s3api get-object --bucket ${shellQuote(repository.bucket)} --key ${key}${version} ${fileOf(object)} > /dev/null`,
    `echo ${shellQuote(`${object.sha256}  ${fileName(object)}`)} | sha256sum --check --quiet`,
  ];
}

function loadLines({ objects }: DumpedDatabase, views: boolean): string[] {
  const files = objects.filter((object) => isOfViews(object) === views).map(fileOf);
  return files.length === 0
    ? []
    : [`cat ${files.join(' ')} | zstd --decompress --quiet --stdout | to_server`];
}

const isOfViews = (object: StoredObject): boolean =>
  /\.sql\.views\.zst(?:\.part\d+)?$/.test(fileName(object));

function countLines({ databases }: Manifest): string[] {
  const tables = databases.flatMap(({ fingerprints }) => fingerprints?.tables ?? []);
  if (tables.length === 0) return ['# nothing was counted in this backup'];
  const counts = tables.slice(0, COUNTED_TABLES).map(({ table, rows }) => {
    const relation = quoteTable(parseNameParts(table));
    return `SELECT ${quoteLiteral(table)} AS \`table\`, ${rows} AS expected, (SELECT COUNT(*) FROM ${relation}) AS found`;
  });
  return [
    "to_server --table <<'END_OF_SQL'",
    `${counts.join('\nUNION ALL ')};`,
    'END_OF_SQL',
    ...(tables.length > COUNTED_TABLES
      ? [`# and ${tables.length - COUNTED_TABLES} more: see the manifest`]
      : []),
  ];
}

const fileName = (object: StoredObject): string => object.key.split('/').at(-1) as string;
/** A name may begin with a dash. */
const fileOf = (object: StoredObject): string => shellQuote(`./${fileName(object)}`);

function gigabytes(bytes: number): string {
  const size = bytes / 1e9;
  return size >= 1 ? `${size.toFixed(1)} GB` : `${Math.max(1, Math.round(bytes / 1e6))} MB`;
}
