#!/usr/bin/env bash
# Locks the .in files of this folder: the newest releases that fit them, with hashes. Needs uv.
set -euo pipefail
cd "$(dirname "$0")"

for file in *.in; do
    uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
        --custom-compile-command requirements/lock.sh --output-file "${file%.in}.txt" "$file"
done
