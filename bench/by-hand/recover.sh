#!/bin/bash
# A point-in-time recovery as people do it by hand: restore as another user, replay to the target, check, find the
# rows that production lacks by their keys, copy them in, count. In: PLACE CONFIGURATION STANZA BIN RESTORE_USER
# TARGET DATABASE PRODUCTION TABLES ("schema.table:key …") and PGPASSWORD.
set -euo pipefail
cd "$PLACE"
step() { echo "step $1 $EPOCHREALTIME"; }
restorer() { setpriv --reuid="$RESTORE_USER" --regid="$RESTORE_USER" --clear-groups -- "$@"; }
production() { "$BIN/psql" "$PRODUCTION" --no-psqlrc --quiet --tuples-only --no-align -v ON_ERROR_STOP=1 "$@"; }
RESTORED="host=$PLACE/socket user=postgres dbname=$DATABASE"
restored() { restorer "$BIN/psql" "$RESTORED" --no-psqlrc --quiet --tuples-only --no-align -v ON_ERROR_STOP=1 "$@"; }

# Whatever happens, the server that was restored here does not stay.
trap 'restorer "$BIN/pg_ctl" stop -D "$PLACE/data" -m immediate >/dev/null 2>&1 || true' EXIT

step choose
restorer pgbackrest --config="$CONFIGURATION" --stanza="$STANZA" info >info.txt

step provision
install -d -m 700 -o "$RESTORE_USER" data

step restore
restorer pgbackrest --config="$CONFIGURATION" --stanza="$STANZA" --type=time "--target=$TARGET" \
  --target-action=pause --archive-mode=off restore >restore.log

step replay
restorer "$BIN/pg_ctl" start -D data -l "$PLACE/log/server.log" -w -t 600 \
  -o "-c listen_addresses= -c port=5432 -c unix_socket_directories=$PLACE/socket" >/dev/null
until [ "$(restored -c 'SELECT pg_get_wal_replay_pause_state()')" = paused ]; do sleep 0.2; done

step check
for entry in $TABLES; do checked+=("--table=${entry%%:*}"); done
restorer "$BIN/pg_amcheck" --heapallindexed "${checked[@]}" "--host=$PLACE/socket" --username=postgres "$DATABASE"

# The keys of the restored copy beside those of production: what is missing there.
step compare
for entry in $TABLES; do
  table=${entry%%:*} key=${entry##*:}
  restored -c "COPY (SELECT $key FROM $table) TO STDOUT" >"$table.restored"
  production <<SQL
    CREATE TEMPORARY TABLE restored_keys ($key bigint);
    \copy restored_keys FROM '$PLACE/$table.restored'
    ANALYZE restored_keys;
    \copy (SELECT $key FROM restored_keys r WHERE NOT EXISTS (SELECT FROM $table p WHERE p.$key = r.$key)) TO '$PLACE/$table.missing'
SQL
done

step import
for entry in $TABLES; do
  table=${entry%%:*} key=${entry##*:}
  echo "COPY (SELECT * FROM $table WHERE $key = ANY ('{$(paste -sd, "$table.missing")}')) TO STDOUT" >"$table.sql"
  chmod 644 "$table.sql"
  restored -f "$table.sql" | production -c "COPY $table FROM STDIN"
done

step verify
for entry in $TABLES; do
  table=${entry%%:*} key=${entry##*:}
  there=$(production -c "SELECT count(*) FROM $table")
  wanted=$(restored -c "SELECT count(*) FROM $table")
  [ "$there" -ge "$wanted" ] || { echo "$table has $there of $wanted rows" >&2; exit 1; }
done

step 'remove instance'
restorer "$BIN/pg_ctl" stop -D data -m immediate >/dev/null
rm -rf data
step end
