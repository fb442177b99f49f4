import type { RepositoryConfig } from '../../config/schema.ts';
import type { Manifest } from '../../model/backup.ts';
import { readPosition } from '../../model/log-position.ts';
import type { SnapshotPlace } from '../contract/backup.ts';
import { block, required, shellQuote } from '../instructions/shell.ts';
import type { ProgramNames } from './instructions.ts';

/**
 * The part of RESTORE.md that goes on from the backup to a later moment, by the binary logs that were shipped: what comes
 * after its `sh` blocks, in the same shell.
 */
export function replaySection(
  manifest: Manifest,
  repository: RepositoryConfig,
  { server, binlog }: ProgramNames,
  snapshot?: SnapshotPlace,
): string {
  const { database, positions } = manifest;
  if (snapshot !== undefined) return '\nA snapshot reaches no further: it holds no log beyond that point.\n';
  const stop = readPosition(positions.stop ?? '');
  if (stop === null) {
    return '\nIt reaches no further: where it stands in the binary log is not known.\n';
  }
  const { log: startLog, position } = stop;
  const folder = `${repository.prefix}log/${database}/`;
  const bucket = shellQuote(repository.bucket);
  const escaped = startLog.replaceAll('.', '\\.');
  return `
## 6. On to a later moment

The binary logs that were shipped lie below \`${folder}\`, by the server that wrote them and how often it had begun to count
them anew. Each has a record (\`.json\`) that names its objects with their versions, and its sha256. You need \`${binlog}\` of
${server}, of the version of the server that wrote them or newer${server === 'MySQL' ? ": MariaDB's does not read them" : ''}.

${block(
  [
    `aws s3 ls ${shellQuote(`s3://${repository.bucket}/${folder}`)} --recursive | awk '{print $4}' | grep '\\.json$' | sort -V > records`,
    '# Which server: the one whose logs go on from this backup.',
    `LINEAGES=$(sed -n 's#^${folder}\\([^/]*\\)/${escaped}/.*#\\1#p' records | sort -u)`,
    `[ -n "$LINEAGES" ] || { echo ${shellQuote(`${startLog} was not shipped: there is nothing beyond the backup`)}; exit 1; }`,
    `LINEAGE="\${LINEAGE:-$LINEAGES}"`,
    '[ "$(echo "$LINEAGE" | wc -l)" -eq 1 ] || { echo "set LINEAGE to one of these: $LINEAGE"; exit 1; }',
    `awk -F/ -v lineage="$LINEAGE" -v first=${shellQuote(startLog)} '`,
    '  $(NF-2) == lineage && $(NF-1) == first { found = 1 }',
    "  found && $(NF-2) == lineage && !seen[$(NF-1)]++' records > logs",
    '# None may be missing between two of them.',
    `awk -F/ '{ n = $(NF-1); sub(/^.*[.]/, "", n); if (NR > 1 && n + 0 != last + 1) { print "a log is missing before " $(NF-1); exit 1 } last = n + 0 }' logs`,
    'rm -rf binlogs && mkdir binlogs',
    'while IFS= read -r record; do',
    '  log=binlogs/$(basename "$(dirname "$record")")',
    `  aws s3api get-object --bucket ${bucket} --key "$record" "$log.json" > /dev/null < /dev/null`,
    `  sed -n 's/^ *"key": "\\(.*\\)",$/\\1/p' "$log.json" > keys`,
    '  while IFS= read -r key; do',
    `    version=$(grep -A1 -F "\\"key\\": \\"$key\\"" "$log.json" | sed -n 's/^ *"versionId": "\\(.*\\)",$/\\1/p')`,
    `    aws s3api get-object --bucket ${bucket} --key ${shellQuote(repository.prefix)}"$key" \${version:+--version-id "$version"} part > /dev/null < /dev/null`,
    '    cat part >> "$log.zst"',
    '  done < keys',
    '  zstd --decompress --quiet --rm "$log.zst"',
    `  echo "$(sed -n 's/^  "sha256": "\\([0-9a-f]*\\)".*$/\\1/p' "$log.json")  $log" | sha256sum --check --quiet`,
    'done < logs',
    'ls -l binlogs',
  ],
  'sh-replay',
)}

A moment, in UTC: what was written from then on is left out. Look for an accident with
\`${binlog} --base64-output=decode-rows --verbose\`; to stop just before it whatever the clock says, replace \`--stop-datetime\` by
\`--stop-position\` and leave out the logs behind it.

${block(
  [
    required(['REPLAY_TO', "a moment in UTC, such as '2026-01-31 14:05:00'"]),
    // Its own transactions have higher numbers, where it writes a log.
    ...(server === 'MariaDB' ? ['to_server --execute="SET GLOBAL gtid_strict_mode = OFF"'] : []),
    '# A reader that fails must not end as if all had been replayed.',
    `( cd binlogs && TZ=UTC ${binlog} --no-defaults ${server === 'MySQL' ? '--skip-gtids ' : ''}--disable-log-bin --start-position=${position} --stop-datetime="$REPLAY_TO" \\`,
    `  $(awk -F/ '{ print $(NF-1) }' ../logs) || printf "\\nDELIMITER ;\\nSIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not every log could be read';\\n" ) | to_server`,
  ],
  'sh-replay',
)}
`;
}
