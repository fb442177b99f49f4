import type { RepositoryConfig } from '../../config/schema.ts';
import type { DumpedDatabase, Manifest, StoredObject } from '../../model/backup.ts';
import { parseNameParts } from '../../model/table.ts';
import type { SnapshotPlace } from '../contract/backup.ts';
import { countLines } from '../instructions/counts.ts';
import { gigabytes, heading, notices } from '../instructions/manifest.ts';
import { fetchLines, fileName, fileOf } from '../instructions/objects.ts';
import { accessLines, block, required, shellQuote } from '../instructions/shell.ts';
import { thawSection } from '../instructions/thaw.ts';
import type { Flavour } from './flavour.ts';
import { quoteLiteral, quoteTable } from './identifier.ts';
import { replaySection } from './instructions-replay.ts';

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
  return `${heading(manifest, repository, names.server, reach(manifest))}
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

${block(fetchLines(manifest, repository))}

## 3. The data

Every db's tables, and then every db's views, which may need other dbs.

${block([...manifest.databases.flatMap((db) => loadLines(db, false)), ...manifest.databases.flatMap((db) => loadLines(db, true))])}

## 4. Accounts and grants

After the data, since a right on a table needs the table. Accounts that are there already stay as they are; an error about
one of them, or about a plugin or a right that the new server does not know, is harmless.

${block(manifest.globals === null ? ['# none in this backup'] : [`to_server --force < ${fileOf(manifest.globals)} || true`])}

## 5. Is everything there?

\`expected\` was counted in the dump's own snapshot.

${block(countsOf(manifest))}
${replaySection(manifest, repository, names, snapshot)}`;
}

function flavourOfManifest({ serverVersion }: Manifest): Flavour {
  // MariaDB went from 5.5 to 10; MySQL from 5.7 to 8 and 9.
  return Number(serverVersion.split('.')[0]) >= 10 ? 'mariadb' : 'mysql';
}

function reach({ positions }: Manifest): string {
  return positions.stop === null ? '' : ` It holds everything up to \`${positions.stop}\` in the binary log.`;
}

function loadLines({ objects }: DumpedDatabase, views: boolean): string[] {
  const files = objects.filter((object) => isOfViews(object) === views).map(fileOf);
  return files.length === 0
    ? []
    : [`cat ${files.join(' ')} | zstd --decompress --quiet --stdout | to_server`];
}

const isOfViews = (object: StoredObject): boolean =>
  /\.sql\.views\.zst(?:\.part\d+)?$/.test(fileName(object));

function countsOf({ databases }: Manifest): string[] {
  const tables = databases.flatMap(({ fingerprints }) => fingerprints?.tables ?? []);
  if (tables.length === 0) return ['# nothing was counted in this backup'];
  return countLines('to_server --table', tables, ({ table, rows }) => {
    const relation = quoteTable(parseNameParts(table));
    return `SELECT ${quoteLiteral(table)} AS \`table\`, ${rows} AS expected, (SELECT COUNT(*) FROM ${relation}) AS found`;
  });
}
