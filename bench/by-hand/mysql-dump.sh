#!/bin/bash
# A dump as people write it into a cron job, to stdout. In: DUMP (mysqldump) OPTIONS (how to connect) DATABASE.
set -euo pipefail
"$DUMP" "$OPTIONS" --single-transaction --routines --events --triggers --hex-blob --no-tablespaces \
  --set-gtid-purged=OFF --databases "$DATABASE" | gzip
