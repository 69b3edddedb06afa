#!/usr/bin/env bash
# Generates src/gen from proto/, with the plugins that package-lock.json pins.
#
#   clients/typescript/generate.sh TOOLS_FOLDER            writes it
#   clients/typescript/generate.sh --check TOOLS_FOLDER    writes nothing, and fails with a diff where it differs
#
# TOOLS_FOLDER gets the plugins, in its node_modules.
set -euo pipefail

check=false
if [[ ${1:-} == --check ]]; then
    check=true
    shift
fi
mkdir -p "${1:?names the folder of the tools}"
TOOLS=$(realpath "$1")
readonly TOOLS
readonly HEADER='// Generated from proto/ by generate.sh. Do not edit.'

cd "$(dirname "$0")"
./install.sh "$TOOLS"
export PATH=$TOOLS/node_modules/.bin:$PATH

OUTPUT=$(mktemp -d)
readonly OUTPUT
trap 'rm -rf "$OUTPUT"' EXIT
buf generate --template buf.gen.yaml --output "$OUTPUT"
find "$OUTPUT" -type f | while read -r file; do
    printf '%s\n' "$HEADER" | cat - "$file" > "$file.headed"
    mv "$file.headed" "$file"
done

if $check; then
    diff -ru src/gen "$OUTPUT/gen"
else
    rm -rf src/gen
    cp -R "$OUTPUT/gen" src/gen
fi
