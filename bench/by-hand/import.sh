#!/bin/bash
# Rows brought back by hand: copied out of the restored server into a new table of production, and from there into
# the table that lost them. In: BIN TABLE ROWS (a condition) KEY PRODUCTION RESTORED and PGPASSWORD.
set -euo pipefail
run() { "$BIN/psql" "$@" --no-psqlrc --quiet -v ON_ERROR_STOP=1 --output=/dev/null; }
"$BIN/psql" "$RESTORED" --no-psqlrc --quiet -v ON_ERROR_STOP=1 \
  -c "COPY (SELECT * FROM $TABLE WHERE $ROWS) TO STDOUT" |
  run "$PRODUCTION" -c "CREATE TABLE recovered (LIKE $TABLE)" -c 'COPY recovered FROM STDIN'
run "$PRODUCTION" --single-transaction \
  -c "INSERT INTO $TABLE SELECT * FROM recovered" \
  -c "SELECT setval(pg_get_serial_sequence('$TABLE', '$KEY'), max($KEY)) FROM $TABLE" \
  -c 'DROP TABLE recovered'
