#!/usr/bin/env bash
# The figures of this client, as one line of JSON; `check.sh FOLDER environments` makes what it needs.
#
#   LEDGER_SERVER=... LEDGER_API_KEY=... bench.sh FOLDER SECONDS
set -euo pipefail

exec java -cp "$(<"${1:?names the folder of check.sh}/driver/classpath")" dev.promptledger.client.bench.Bench \
    "${2:?says for how many seconds each call is measured}"
