#!/bin/bash
# A disaster recovery as people do it by hand: restore as production's user, start as a standby, wait for the end of the
# archived logs, promote, and archive into a stanza of its own. In: PLACE OLD NEW (pgBackRest's configurations, of the old
# stanza and the new) OLD_STANZA NEW_STANZA BIN SERVER_USER DATABASE ROWS (a query).
set -euo pipefail
cd "$PLACE"
step() { echo "step $1 $EPOCHREALTIME"; }
operator() { setpriv --reuid="$SERVER_USER" --regid="$SERVER_USER" --clear-groups -- "$@"; }
server() { operator "$BIN/psql" "host=$PLACE/socket user=postgres dbname=$DATABASE" --no-psqlrc --tuples-only --no-align -v ON_ERROR_STOP=1 "$@"; }

# Whatever happens, the server that was restored here does not stay.
trap 'operator "$BIN/pg_ctl" stop -D "$PLACE/data" -m immediate >/dev/null 2>&1 || true' EXIT

step choose
operator pgbackrest --config="$OLD" --stanza="$OLD_STANZA" info >info.txt
last=$(sed -n 's|.*wal archive min/max .*/\([0-9A-F]\{24\}\)$|\1|p' info.txt)
next=$((16#${last:8:8} * 256 + 16#${last:16:8} + 1))
end=$(printf '%X/%X' $((next / 256)) $((next % 256 << 24)))

step restore
install -d -m 700 -o "$SERVER_USER" data
operator pgbackrest --config="$OLD" --stanza="$OLD_STANZA" --type=standby restore >restore.log
cat >>data/postgresql.auto.conf <<SETTINGS
listen_addresses = ''
port = 5432
unix_socket_directories = '$PLACE/socket'
shared_buffers = '$SHARED_BUFFERS'
archive_mode = on
archive_command = ''
SETTINGS

step replay
operator "$BIN/pg_ctl" start -D data -l "$PLACE/log/server.log" -w -t 600 >/dev/null
until [ "$(server -c "SELECT pg_last_wal_replay_lsn() >= '$end'")" = t ]; do sleep 0.2; done

step 'take over'
operator "$BIN/pg_ctl" promote -D data -w -t 600 >/dev/null

# Nothing is pushed before the stanza is there: a push that waits for it holds its lock. check closes a log and waits
# until it has arrived.
step protect
operator pgbackrest --config="$NEW" --stanza="$NEW_STANZA" stanza-create >/dev/null
echo "archive_command = 'pgbackrest --config=$NEW --stanza=$NEW_STANZA archive-push %p'" >>data/postgresql.auto.conf
operator "$BIN/pg_ctl" reload -D data >/dev/null
operator pgbackrest --config="$NEW" --stanza="$NEW_STANZA" check >/dev/null

step end
echo "rows $(server -c "$ROWS")"
