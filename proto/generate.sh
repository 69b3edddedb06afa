#!/usr/bin/env bash
# Lints the contract, compares it with its image, contract.binpb, and renews that. What breaks callers (buf's rules of FILE) is
# refused, so the image only ever grows.
#
#   proto/generate.sh [--check] FOLDER
#
# FOLDER gets the tools. With --check nothing is written, and it fails where the image is not that of the contract.
set -euo pipefail

readonly BUF_VERSION=1.75.0

check=false
[[ $1 != --check ]] || { check=true && shift; }
tools=$1/buf-$BUF_VERSION
mkdir -p "$tools"
[[ -x $tools/node_modules/.bin/buf ]] || npm install --prefix "$tools" --no-audit --no-fund "@bufbuild/buf@$BUF_VERSION"
buf=$(realpath "$tools/node_modules/.bin/buf")
cd "$(dirname "$0")"

"$buf" lint
"$buf" breaking --against contract.binpb
image=$(mktemp --suffix=.binpb)
trap 'rm -f "$image"' EXIT
"$buf" build --exclude-source-info --output "$image"
if cmp -s "$image" contract.binpb; then
    exit
fi
if $check; then
    echo "proto/contract.binpb is not the image of the contract any more: cargo xtask generate" >&2
    exit 1
fi
cat "$image" >contract.binpb
