import type { RepositoryConfig } from '../../config/schema.ts';
import type { Manifest } from '../../model/backup.ts';
import { block, required, shellQuote } from '../instructions/shell.ts';

/**
 * The part of a physical backup's RESTORE.md that makes the restored server the new production: what comes after its
 * `sh` blocks, in the same shell. It archives into a stanza of its own, so that nobody else does.
 */
export function productionSection({ database }: Manifest, repository: RepositoryConfig): string {
  const backrest = 'pgbackrest --config="$RESTORED/pgbackrest.conf" --stanza="$STANZA"';
  return `## 4. Only after a disaster: make it the new production

**First make sure that nobody can write to the old server any more.** Do this where the server is to stay, with everything above
run as the user that it will run as (\`postgres\`), and with lasting credentials that can write. The directory stays where it is.

It archives into a new stanza: an old server that comes back cannot write there. The repository's secrets go into a file that
only this user can read.

${block(
  [
    required(['LISTEN', 'the address at which clients reach it'], ['PORT', 'its port']),
    `STANZA=${shellQuote(`${database}-`)}$(date -u +%Y%m%dt%H%M%Sz)`,
    'OLD_STANZA="$PGBACKREST_STANZA" UNTIL="$(date -u +%Y-%m-%dT%H:%M:%SZ)"',
    'pg_ctl stop -w -D "$RESTORED/data"',
    'mkdir -p "$RESTORED/log"',
    'cat > "$RESTORED/pgbackrest.conf" <<END_OF_FILE',
    ...pgbackrestFile(repository),
    'END_OF_FILE',
    '# From here on that file alone is used, as it will be after a reboot.',
    `for name in $(env | sed -n 's/^\\(PGBACKREST_[A-Z0-9_]*\\)=.*/\\1/p'); do unset "$name"; done`,
    `${backrest} --no-online stanza-create`,
    '# Where its timeline began: that was before it archived.',
    `for history in "$RESTORED"/data/pg_wal/*.history; do ${backrest} archive-push "$history"; done`,
  ],
  'sh-production',
)}

Its configuration moves into the data directory; what production had there stays beside it as \`*.before\`. Look there for what this
server needs too, and add it: \`shared_buffers\`, \`max_connections\`, \`shared_preload_libraries\`, \`ssl\` with its files.
Subscriptions stay off until you take out the last line.

${block(
  [
    'cd "$RESTORED/data"',
    'for file in postgresql.conf pg_hba.conf pg_ident.conf; do',
    '  if [ -e "$file" ] && [ ! -e "$file.before" ]; then mv "$file" "$file.before"; fi',
    'done',
    ': > postgresql.auto.conf',
    ': > pg_ident.conf',
    'cat > pg_hba.conf <<END_OF_FILE',
    'local all all trust',
    'host all all samenet scram-sha-256',
    'END_OF_FILE',
    'cat > postgresql.conf <<END_OF_FILE',
    "listen_addresses = '$LISTEN'",
    'port = $PORT',
    "unix_socket_directories = '$RESTORED'",
    "archive_mode = 'on'",
    `archive_command = 'pgbackrest --config="$RESTORED/pgbackrest.conf" --stanza=$STANZA archive-push "%p"'`,
    'max_prepared_transactions = 100',
    'max_logical_replication_workers = 0',
    'END_OF_FILE',
    'cd "$RESTORED"',
    'pg_ctl start -w -t 3600 -D "$RESTORED/data" -l "$RESTORED/log/server.log"',
  ],
  'sh-production',
)}

\`check\` closes a log and waits until it has arrived; the backup is what every later recovery begins with.

${block(
  [
    `${backrest} check`,
    `${backrest} --type=full --start-fast backup`,
    `${backrest} info`,
    `psql --no-psqlrc --host="$RESTORED" --port="$PORT" --username="\${PGUSER:-postgres}" --dbname=postgres --command="SELECT pg_is_in_recovery() AS read_only, pg_walfile_name(pg_current_wal_lsn()) AS log"`,
  ],
  'sh-production',
)}

The socket's directory belongs to this user alone: that is what makes \`trust\` safe there. Roles whose password is still kept as md5 cannot
log in by the line with \`scram-sha-256\`. Point the clients at the new server now.
`;
}

function pgbackrestFile(repository: RepositoryConfig): string[] {
  const { endpoint, region, bucket, prefix, pathStyle, caFile, cipher, kmsKeyId } = repository;
  return [
    '[global]',
    'repo1-type=s3',
    `repo1-path=/${prefix}pgbackrest`,
    `repo1-s3-bucket=${bucket}`,
    `repo1-s3-region=${region}`,
    `repo1-s3-endpoint=${endpoint?.replace(/^https:\/\//, '') ?? `s3.${region}.amazonaws.com`}`,
    `repo1-s3-uri-style=${pathStyle ? 'path' : 'host'}`,
    'repo1-s3-key=$PGBACKREST_REPO1_S3_KEY',
    'repo1-s3-key-secret=$PGBACKREST_REPO1_S3_KEY_SECRET',
    ...(kmsKeyId === undefined ? [] : [`repo1-s3-kms-key-id=${kmsKeyId}`]),
    ...(caFile === undefined ? [] : [`repo1-storage-ca-file=${caFile}`]),
    ...(cipher === undefined
      ? []
      : ['repo1-cipher-type=aes-256-cbc', 'repo1-cipher-pass=$PGBACKREST_REPO1_CIPHER_PASS']),
    'compress-type=zst',
    'lock-path=$RESTORED/lock',
    'log-path=$RESTORED/log',
    '',
    '[$STANZA]',
    'pg1-path=$RESTORED/data',
    'pg1-port=$PORT',
    'pg1-socket-path=$RESTORED',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of the shell
    'pg1-user=${PGUSER:-postgres}',
  ];
}
