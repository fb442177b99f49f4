#!/bin/bash
# What differs between a table and its restored copy, as people find it out by hand: both written out in the order of
# the key, at the same time, and diff. In: PLACE BIN TABLE KEY PRODUCTION RESTORED and PGPASSWORD. Prints how many lines
# only the restored copy has, and how many only production.
set -euo pipefail
cd "$PLACE"
copy() { "$BIN/psql" "$1" --no-psqlrc --quiet -v ON_ERROR_STOP=1 -c "COPY (SELECT * FROM $TABLE ORDER BY $KEY) TO STDOUT"; }
copy "$RESTORED" >restored.copy &
restored=$!
copy "$PRODUCTION" >production.copy
wait "$restored"
diff --speed-large-files restored.copy production.copy >differences || [ $? = 1 ]
echo "$(grep -c '^<' differences) $(grep -c '^>' differences)"
