#!/usr/bin/env bash
# Builds the package and measures it; see bench.ts.
#
#   LEDGER_SERVER=... LEDGER_API_KEY=... clients/typescript/bench/run.sh SECONDS [FOLDER]
#
# FOLDER is that of check.sh.
set -euo pipefail

readonly SECONDS_EACH=${1:?seconds of each measurement}
mkdir -p "${2:-$(dirname "$0")/../../../target/clients/typescript}"
FOLDER=$(realpath "${2:-$(dirname "$0")/../../../target/clients/typescript}")
readonly FOLDER

cd "$(dirname "$0")/.."
{
    ./install.sh "$FOLDER"
    ln -sfn "$FOLDER/node_modules" node_modules
    export PATH=$FOLDER/node_modules/.bin:$PATH
    npm run --silent build
} >&2
exec node bench/bench.ts "$SECONDS_EACH"
