import type { RepositoryConfig } from '../../config/schema.ts';
import type { DumpedDatabase, Manifest, StoredObject } from '../../model/backup.ts';
import { parseNameParts } from '../../model/table.ts';
import { quoteLiteral, quoteQualified } from './identifier.ts';

/** Tables that RESTORE.md counts; more would make it unreadable on the night it is needed. */
const COUNTED_TABLES = 200;

/** Engine.instructions: RESTORE.md of either tier. */
export function instructions(manifest: Manifest, repository: RepositoryConfig, stanza: string): string {
  return manifest.tier === 'logical'
    ? logicalInstructions(manifest, repository)
    : physicalInstructions(manifest, repository, stanza);
}

/**
 * RESTORE.md of a logical backup: what restores it with PostgreSQL's own programs, zstd and an S3 client. The
 * `sh` blocks run as they stand, one after the other in one shell, once the variables of the first are set.
 */
export function logicalInstructions(manifest: Manifest, repository: RepositoryConfig): string {
  const fetched = [
    ...(manifest.globals === null ? [] : [manifest.globals]),
    ...manifest.databases.flatMap(({ objects }) => objects),
  ];
  return `${heading(manifest, repository)}
You need: \`psql\` and \`pg_restore\` of PostgreSQL ${manifest.tools.pg_dump ?? manifest.serverVersion} or newer, \`zstd\`, \`aws\` (any
client that can fetch an object by key and version id will do), disk for twice ${gigabytes(manifest.databaseBytes)}, and an
empty PostgreSQL ${manifest.serverVersion.split('.')[0]} server or newer with a superuser. **Not the production server**: roles and dbs are created.
${notices(manifest)}
## 1. Where from, where to

${block([
  'set -eu',
  ...accessLines(repository),
  required(
    ['PGHOST', 'host of the server to restore to'],
    ['PGPORT', 'its port'],
    ['PGUSER', 'its superuser'],
    ['PGPASSWORD', 'the password'],
  ),
  'export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY PGHOST PGPORT PGUSER PGPASSWORD',
  `mkdir -p ${shellQuote(`restore-${manifest.id}`)}`,
  `cd ${shellQuote(`restore-${manifest.id}`)}`,
])}

## 2. Fetch, each object in the version that belongs to this backup

${block(fetched.flatMap((object) => fetchLines(object, repository)))}

## 3. Roles, grants and tablespaces

Without the line that would give your superuser production's password. A tablespace wants its directory on the new
server; an error about one that is not wanted is harmless.

${block(manifest.globals === null ? ['# none in this backup'] : rolesLines(manifest.globals))}

## 4. The data

Subscriptions stay out: a copy that subscribes takes changes away from production. A \`pg_restore\` newer than the server
may report one parameter that it does not know; that is harmless.

${block(manifest.databases.flatMap(restoreLines))}

## 5. Is everything there?

\`expected\` was counted in the dump's own snapshot.

${block(manifest.databases.flatMap(countLines))}

Then \`ANALYZE\` every db before it takes traffic.
`;
}

/**
 * RESTORE.md of a physical backup: pgBackRest with its options in the environment, as Holdfast itself runs it.
 * `stanza` defaults to the database's name.
 */
export function physicalInstructions(
  manifest: Manifest,
  repository: RepositoryConfig,
  stanza: string = manifest.database,
): string {
  const major = manifest.serverVersion.split('.')[0];
  return `${heading(manifest, repository)}
You need: \`pgbackrest\` ${manifest.tools.pgbackrest ?? ''} or newer, PostgreSQL ${major} (exactly this major version, the same extensions and C library
collations), and ${gigabytes(manifest.databaseBytes)} of disk. Run everything as an operating-system user that is **not** the owner of production's
files, and never into production's directory.
${notices(manifest)}
## 1. Where from, where to

${block([
  'set -eu',
  required(
    ['PGBACKREST_REPO1_S3_KEY', 'access key id'],
    ['PGBACKREST_REPO1_S3_KEY_SECRET', 'secret access key'],
  ),
  ...(repository.cipher === undefined
    ? []
    : [
        required(['PGBACKREST_REPO1_CIPHER_PASS', 'passphrase of the repository']),
        'export PGBACKREST_REPO1_CIPHER_PASS',
      ]),
  required(['RESTORED', 'an empty directory for the restored server']),
  'export PGBACKREST_REPO1_S3_KEY PGBACKREST_REPO1_S3_KEY_SECRET',
  ...Object.entries(toolVariables(repository, stanza)).map(
    ([name, value]) => `export ${name}=${shellQuote(value)}`,
  ),
  'export PGBACKREST_PG1_PATH="$RESTORED"',
  'mkdir -p "$RESTORED" && chmod 700 "$RESTORED"',
])}

## 2. Restore

To this backup's own consistent point:

${block([`pgbackrest --no-config --set=${shellQuote(manifest.id)} --type=immediate --target-action=promote --archive-mode=off restore`])}

Or to a moment after ${manifest.finishedAt} (with its offset from UTC), for which the logs must be in the repository:

${block(
  [
    `pgbackrest --no-config --set=${shellQuote(manifest.id)} --type=time --target='2026-01-31 14:05:00+00' --target-action=promote --archive-mode=off restore`,
  ],
  'sh-other',
)}

## 3. Start it, apart from everything

\`archive_mode=off\` keeps it from writing into production's archive; the other settings keep it from consuming
production's replication. Start it from this shell: recovery fetches logs with the variables set above.

${block([
  'touch "$RESTORED/postgresql.conf" "$RESTORED/pg_ident.conf"',
  'test -s "$RESTORED/pg_hba.conf" || echo "local all all peer" > "$RESTORED/pg_hba.conf"',
  `pg_ctl start -D "$RESTORED" -w -t 3600 -l "$RESTORED/restore.log" -o "-c archive_mode=off -c listen_addresses='' -c unix_socket_directories='$RESTORED' -c max_logical_replication_workers=0 -c synchronous_standby_names='' -c shared_preload_libraries=''"`,
  'psql --no-psqlrc --host="$RESTORED" --dbname=postgres --command="SELECT pg_is_in_recovery()"',
])}

\`f\` means that recovery has ended. A configuration outside the data directory (Debian: /etc/postgresql) is not in the
backup: parameters such as \`max_connections\` must be at least what production has, else the log says so and which.
`;
}

function heading(manifest: Manifest, repository: RepositoryConfig): string {
  const { id, database, tier, kind, startedAt, finishedAt, serverVersion } = manifest;
  return `# Restore ${database} from backup ${id}

A ${tier} backup (${kind}) of PostgreSQL ${serverVersion}, taken from ${startedAt} to ${finishedAt}, in bucket
\`${repository.bucket}\`${repository.endpoint === undefined ? '' : ` at ${repository.endpoint}`}. These commands need no Holdfast.
`;
}

function notices(manifest: Manifest): string {
  if (manifest.notices.length === 0) return '';
  return `\nKnow this first:\n${manifest.notices.map((notice) => `- ${notice}`).join('\n')}\n`;
}

function accessLines(repository: RepositoryConfig): string[] {
  const { endpoint, region, caFile } = repository;
  return [
    required(['AWS_ACCESS_KEY_ID', 'access key id'], ['AWS_SECRET_ACCESS_KEY', 'secret access key']),
    `export AWS_DEFAULT_REGION=${shellQuote(region)}`,
    ...(endpoint === undefined ? [] : [`export AWS_ENDPOINT_URL=${shellQuote(endpoint)}`]),
    ...(caFile === undefined ? [] : [`export AWS_CA_BUNDLE=${shellQuote(caFile)}`]),
  ];
}

function fetchLines(object: StoredObject, repository: RepositoryConfig): string[] {
  const version = object.versionId === null ? '' : ` --version-id ${shellQuote(object.versionId)}`;
  const key = shellQuote(`${repository.prefix}${object.key}`);
  return [
    `aws s3api get-object --bucket ${shellQuote(repository.bucket)} --key ${key}${version} ${fileOf(object)} > /dev/null`,
    `echo ${shellQuote(`${object.sha256}  ${fileName(object)}`)} | sha256sum --check --quiet`,
  ];
}

function rolesLines(globals: StoredObject): string[] {
  return [
    `grep -v -E "^(CREATE|ALTER) ROLE \\"?$PGUSER\\"?( WITH .*)?;" ${fileOf(globals)} > roles.sql`,
    'psql --no-psqlrc --quiet --dbname=postgres --file=roles.sql || true',
  ];
}

function restoreLines(database: DumpedDatabase): string[] {
  const [first] = database.objects;
  if (first === undefined) return [];
  const dump = shellQuote(fileName(first).replace(/\.zst$/, ''));
  const parts = database.objects.map(fileOf).join(' ');
  const create = database.name === 'postgres' ? '' : ' --create';
  return [
    `cat ${parts} | zstd --decompress --quiet --force -o ${dump}`,
    `pg_restore${create} --no-subscriptions --jobs=2 --dbname=postgres ${dump} || true`,
  ];
}

function countLines(database: DumpedDatabase): string[] {
  const tables = database.fingerprints?.tables ?? [];
  if (tables.length === 0) return [];
  const counts = tables.slice(0, COUNTED_TABLES).map(({ table, rows }) => {
    const relation = quoteQualified(parseNameParts(table));
    return `SELECT ${quoteLiteral(table)} AS "table", ${rows} AS expected, (SELECT count(*) FROM ONLY ${relation}) AS found`;
  });
  return [
    `psql --no-psqlrc --dbname=${shellQuote(database.name)} <<'END_OF_SQL'`,
    `${counts.join('\nUNION ALL ')};`,
    'END_OF_SQL',
    ...(tables.length > COUNTED_TABLES
      ? [`# and ${tables.length - COUNTED_TABLES} more: see the manifest`]
      : []),
  ];
}

function toolVariables(repository: RepositoryConfig, stanza: string): Record<string, string> {
  const { endpoint, region, bucket, prefix, pathStyle, caFile, cipher } = repository;
  return {
    PGBACKREST_STANZA: stanza,
    PGBACKREST_REPO1_TYPE: 's3',
    PGBACKREST_REPO1_PATH: `/${prefix}pgbackrest`,
    PGBACKREST_REPO1_S3_BUCKET: bucket,
    PGBACKREST_REPO1_S3_REGION: region,
    PGBACKREST_REPO1_S3_ENDPOINT: endpoint?.replace(/^https:\/\//, '') ?? `s3.${region}.amazonaws.com`,
    PGBACKREST_REPO1_S3_URI_STYLE: pathStyle ? 'path' : 'host',
    PGBACKREST_REPO1_CIPHER_TYPE: cipher === undefined ? 'none' : 'aes-256-cbc',
    ...(caFile === undefined ? {} : { PGBACKREST_REPO1_STORAGE_CA_FILE: caFile }),
    PGBACKREST_LOG_LEVEL_FILE: 'off',
    PGBACKREST_LOCK_PATH: '/tmp/pgbackrest-restore',
  };
}

function block(lines: readonly string[], language = 'sh'): string {
  return `\`\`\`${language}\n${lines.join('\n')}\n\`\`\``;
}

const fileName = (object: StoredObject): string => object.key.split('/').at(-1) as string;
const fileOf = (object: StoredObject): string => shellQuote(fileName(object));

/** A line that stops the shell, naming what is missing, until the variables are set. */
function required(...variables: [name: string, meaning: string][]): string {
  return `: ${variables.map(([name, meaning]) => `"\${${name}:?${meaning}}"`).join(' ')}`;
}

/** A word that a POSIX shell takes as it is. */
export function shellQuote(text: string): string {
  return /^[\w./:=@+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function gigabytes(bytes: number): string {
  const size = bytes / 1e9;
  return size >= 1 ? `${size.toFixed(1)} GB` : `${Math.max(1, Math.round(bytes / 1e6))} MB`;
}
