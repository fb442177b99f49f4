#!/bin/bash
# A point-in-time recovery of MySQL as people do it by hand: a new server as another user, the dump loaded, the binary
# logs replayed to the moment, a check, the rows that production lacks by their keys, copied in, counted. Everything is
# fetched from S3 by curl. In: PLACE BUCKET (its url) DUMP LOGS (keys below it; the logs as "name=key …") POSITION (in the
# first log) UNTIL (UTC) MYSQLD INITIALIZE (arguments) BIN RESTORE_USER DATABASE TABLES ("table:key …"), and in PLACE the
# server's my.cnf and how to reach S3 (s3.conf), the new server (restored.cnf) and production (production.cnf).
set -euo pipefail
cd "$PLACE"
export TZ=UTC LC_ALL=C
step() { echo "step $1 $EPOCHREALTIME"; }
restorer=(setpriv --reuid="$RESTORE_USER" --regid="$RESTORE_USER" --clear-groups --)
fetch() { curl --config s3.conf --fail --silent --show-error "$BUCKET/$1" | zstd --decompress --quiet --stdout; }
restored() { "$BIN/mysql" --defaults-file=restored.cnf --skip-column-names --batch "$@"; }
production() { "$BIN/mysql" --defaults-file=production.cnf --skip-column-names --batch "$@"; }

# Whatever happens, the server that was restored here does not stay.
server=
trap '[ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true' EXIT

step provision
install -d -m 700 -o "$RESTORE_USER" data

step restore
# shellcheck disable=SC2086
"${restorer[@]}" "$MYSQLD" --no-defaults $INITIALIZE --datadir="$PLACE/data" --initialize-insecure 2>initialize.log
"${restorer[@]}" "$MYSQLD" --defaults-file=my.cnf --datadir="$PLACE/data" >server.log 2>&1 &
server=$!
until restored -e 'SELECT 1' >/dev/null 2>&1; do kill -0 "$server"; sleep 0.1; done
fetch "$DUMP" | restored

step replay
for log in $LOGS; do
  fetch "${log#*=}" >"${log%%=*}"
  logs+=("${log%%=*}")
done
"$BIN/mysqlbinlog" --no-defaults --skip-gtids --start-position="$POSITION" --stop-datetime="$UNTIL" "${logs[@]}" |
  restored --binary-mode

step check
for entry in $TABLES; do checked+=("${entry%%:*}"); done
restored "$DATABASE" -e "CHECK TABLE $(IFS=,; echo "${checked[*]}")" >check.txt
! grep -qv $'\tstatus\tOK$' check.txt

# The keys of the restored copy beside those of production, in one order: what is missing there.
step compare
for entry in $TABLES; do
  table=${entry%%:*} key=${entry##*:}
  keys="SELECT LPAD($key, 20, '0') FROM $table ORDER BY $key"
  comm -23 <(restored --quick "$DATABASE" -e "$keys") <(production --quick "$DATABASE" -e "$keys") >"$table.missing"
done

# What is missing into tables of the same names in a db of their own, and from there as a dump into production.
step import
restored -e 'CREATE DATABASE missing'
for entry in $TABLES; do
  table=${entry%%:*} key=${entry##*:}
  restored missing <<SQL
    CREATE TABLE missing_keys ($key bigint PRIMARY KEY);
    LOAD DATA LOCAL INFILE '$PLACE/$table.missing' INTO TABLE missing_keys;
    CREATE TABLE $table LIKE $DATABASE.$table;
    INSERT INTO $table SELECT r.* FROM $DATABASE.$table r JOIN missing_keys USING ($key);
    DROP TABLE missing_keys;
SQL
done
"$BIN/mysqldump" --defaults-file=restored.cnf --single-transaction --no-create-info --skip-add-locks --hex-blob \
  --set-gtid-purged=OFF --no-tablespaces missing | production "$DATABASE"

step verify
for entry in $TABLES; do
  table=${entry%%:*}
  there=$(production "$DATABASE" -e "SELECT COUNT(*) FROM $table")
  wanted=$(restored "$DATABASE" -e "SELECT COUNT(*) FROM $table")
  [ "$there" -ge "$wanted" ] || { echo "$table has $there of $wanted rows" >&2; exit 1; }
done

step 'remove instance'
kill -KILL "$server"
wait "$server" 2>/dev/null || true
server=
rm -rf data
step end
