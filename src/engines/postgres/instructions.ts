import type { RepositoryConfig } from '../../config/schema.ts';
import type { DumpedDatabase, Manifest, StoredObject } from '../../model/backup.ts';
import { parseNameParts } from '../../model/table.ts';
import type { SnapshotPlace } from '../contract/backup.ts';
import { countLines } from '../instructions/counts.ts';
import { gigabytes, heading, notices } from '../instructions/manifest.ts';
import { fetchLines, fileName, fileOf } from '../instructions/objects.ts';
import { accessLines, block, required, shellQuote } from '../instructions/shell.ts';
import { thawSection } from '../instructions/thaw.ts';
import { quoteLiteral, quoteQualified } from './identifier.ts';
import { productionSection } from './instructions-production.ts';

/** Engine.instructions: RESTORE.md of any tier. */
export function instructions(
  manifest: Manifest,
  repository: RepositoryConfig,
  stanza: string,
  snapshot?: SnapshotPlace,
): string {
  return (manifest.copyOf ?? manifest).tier === 'logical'
    ? logicalInstructions(manifest, repository, snapshot)
    : physicalInstructions(manifest, repository, stanza, snapshot);
}

/**
 * RESTORE.md of a logical backup: what restores it with PostgreSQL's own programs, zstd and an S3 client. The
 * `sh` blocks run as they stand, one after the other in one shell, once the variables of the first are set.
 */
export function logicalInstructions(
  manifest: Manifest,
  repository: RepositoryConfig,
  snapshot?: SnapshotPlace,
): string {
  return `${heading(manifest, repository, 'PostgreSQL')}
You need: \`psql\` and \`pg_restore\` of PostgreSQL ${manifest.tools.pg_dump ?? manifest.serverVersion} or newer, \`zstd\`, \`aws\` (any
client that can fetch an object by key and version id will do), disk for twice ${gigabytes(manifest.databaseBytes)}, and an
empty PostgreSQL ${manifest.serverVersion.split('.')[0]} server or newer with a superuser. **Not the production server**: roles and dbs are created.
${notices(manifest)}${thawSection(snapshot, repository)}
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

${block(fetchLines(manifest, repository))}

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

${block(manifest.databases.flatMap(countsOf))}

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
  snapshot?: SnapshotPlace,
): string {
  // The tool's tree is the same below whatever prefix.
  const from =
    snapshot === undefined ? repository : { ...repository, prefix: `${repository.prefix}${snapshot.folder}` };
  const major = manifest.serverVersion.split('.')[0];
  return `${heading(manifest, repository, 'PostgreSQL')}
You need: \`pgbackrest\` ${manifest.tools.pgbackrest ?? ''} or newer, PostgreSQL ${major} (exactly this major version, the same extensions and C library
collations), and ${gigabytes(manifest.databaseBytes)} of disk. Run everything as an operating-system user that is **not** the owner of production's
files, and never into production's directory. Credentials that can only read are enough, and safer; temporary ones
want \`PGBACKREST_REPO1_S3_TOKEN\` exported too.
${notices(manifest)}${thawSection(snapshot, repository)}
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
  required(['RESTORED', 'an empty directory for the restored server: its whole path, at most 80 characters']),
  'export PGBACKREST_REPO1_S3_KEY PGBACKREST_REPO1_S3_KEY_SECRET',
  ...Object.entries(toolVariables(from, stanza)).map(
    ([name, value]) => `export ${name}=${shellQuote(value)}`,
  ),
  'export PGBACKREST_PG1_PATH="$RESTORED/data" PGBACKREST_LOCK_PATH="$RESTORED/lock" PGBACKREST_SPOOL_PATH="$RESTORED/spool"',
  `export PATH="/usr/lib/postgresql/${major}/bin:/usr/pgsql-${major}/bin:$PATH"`,
  'umask 077',
  'mkdir -p "$RESTORED/data" "$RESTORED/tablespaces" "$RESTORED/spool"',
  'chmod 700 "$RESTORED"',
])}

## 2. Restore

Tablespaces come to lie below the directory too. To this backup's own consistent point:

${block([`${restoreCommand(manifest)} --target-action=promote --type=immediate restore`])}

${snapshot === undefined ? furtherOn(manifest) : 'A snapshot reaches no further: it holds no log beyond that point.\n'}
## 3. Start it, apart from everything

It gets a configuration of its own, of which only the commands of the recovery are left over: production's would write
into production's archive, listen on production's port and consume production's replication. Start it from this shell:
recovery fetches logs with the variables set above.

${block([
  'cat > "$RESTORED/postgresql.conf" <<END_OF_FILE',
  "archive_mode = 'off'",
  "hba_file = '$RESTORED/pg_hba.conf'",
  "ident_file = '$RESTORED/pg_ident.conf'",
  "listen_addresses = ''",
  "unix_socket_directories = '$RESTORED'",
  'port = 5432',
  'max_logical_replication_workers = 0',
  'max_prepared_transactions = 100',
  "hot_standby = 'off'",
  'END_OF_FILE',
  'echo "local all all trust" > "$RESTORED/pg_hba.conf"',
  ': > "$RESTORED/pg_ident.conf"',
  `grep -E '^(restore_command|recovery_target[a-z_]*) *=' "$RESTORED/data/postgresql.auto.conf" > "$RESTORED/recovery.conf"`,
  'mv "$RESTORED/recovery.conf" "$RESTORED/data/postgresql.auto.conf"',
  `pg_ctl start -w -t 3600 -D "$RESTORED/data" -l "$RESTORED/restore.log" -o "-c config_file='$RESTORED/postgresql.conf'"`,
  'until pg_isready --quiet --host="$RESTORED" --port=5432; do',
  '  pg_ctl status -D "$RESTORED/data" > /dev/null || { tail "$RESTORED/restore.log"; exit 1; }',
  '  sleep 1',
  'done',
  `psql --no-psqlrc --host="$RESTORED" --port=5432 --username="\${PGUSER:-postgres}" --dbname=postgres --list`,
])}

It answers once recovery has ended. Where production's superuser is not \`postgres\`, set \`PGUSER\`. What production was
configured with is in \`$RESTORED/data/postgresql.conf\`, unless its distribution keeps that elsewhere (Debian: /etc/postgresql).

To take it down again: \`pg_ctl stop -D "$RESTORED/data"\`, then remove the directory.

${productionSection(manifest, repository)}`;
}

function furtherOn(manifest: Manifest): string {
  return `Or, instead, as far as the logs in the repository go, which is what a disaster asks for:

${block([`${restoreCommand(manifest)} --type=default restore`], 'sh-latest')}

Or, instead, to a moment after ${manifest.finishedAt}, for which the logs must be in the repository up to the next commit:

${block(
  [
    required(['RECOVER_TO', "a moment with its offset from UTC, such as '2026-01-31 14:05:00+00'"]),
    `${restoreCommand(manifest)} --target-action=promote --type=time --target="$RECOVER_TO" restore`,
  ],
  'sh-other',
)}
`;
}

/** It ends recovery by itself, and never archives. Without a file of options: production's may lie on this machine. */
function restoreCommand({ id, copyOf }: Manifest): string {
  return `pgbackrest --no-config --set=${shellQuote(copyOf?.id ?? id)} --tablespace-map-all="$RESTORED/tablespaces" --archive-mode=off`;
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
  const dump = shellQuote(`./${fileName(first).replace(/\.zst$/, '')}`);
  const parts = database.objects.map(fileOf).join(' ');
  const create = database.name === 'postgres' ? '' : ' --create';
  return [
    `cat ${parts} | zstd --decompress --quiet --force -o ${dump}`,
    `pg_restore${create} --no-subscriptions --jobs=2 --dbname=postgres ${dump} || true`,
  ];
}

function countsOf({ name, fingerprints }: DumpedDatabase): string[] {
  const tables = fingerprints?.tables ?? [];
  if (tables.length === 0) return [];
  return countLines(`psql --no-psqlrc --dbname=${shellQuote(name)}`, tables, ({ table, rows }) => {
    const relation = quoteQualified(parseNameParts(table));
    return `SELECT ${quoteLiteral(table)} AS "table", ${rows} AS expected, (SELECT count(*) FROM ONLY ${relation}) AS found`;
  });
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
  };
}
