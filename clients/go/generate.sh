#!/usr/bin/env bash
# Generates the code of the contract, promptledger/v1, from proto/.
#
#   clients/go/generate.sh [--check] TOOLS_FOLDER
#
# The plugins, at the versions that tools/go.mod pins, are installed in TOOLS_FOLDER. With --check nothing is written: it fails,
# and shows the difference, where what is committed is not what would be generated.
set -euo pipefail

check=
if [[ ${1:-} == --check ]]; then
    check=yes
    shift
fi
mkdir -p "${1:?names the folder of the tools}"
GOBIN=$(realpath "$1")
export GOBIN
cd "$(dirname "$0")"

go install -C tools tool ./generate
output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT
"$GOBIN/generate" ../../proto "$GOBIN" "$output"
if [[ -n $check ]]; then
    diff -ru promptledger "$output/promptledger"
else
    rm -rf promptledger
    cp -r "$output/promptledger" .
fi
