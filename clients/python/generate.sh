#!/usr/bin/env bash
# Generates src/prompt_ledger/_proto from proto/, with the tools of requirements/generate.txt.
#
#   clients/python/generate.sh [--check] FOLDER
#
# FOLDER gets the tools. With --check nothing is written, and it fails where the code differs. PYTHON names another python3.
set -euo pipefail

check=()
[[ $1 != --check ]] || { check=(--check) && shift; }
mkdir -p "$1"
tools=$(realpath "$1")/generate
cd "$(dirname "$0")"
if ! cmp -s requirements/generate.txt "$tools/installed.txt"; then
    rm -rf "$tools"
    "${PYTHON:-python3}" -m venv "$tools"
    "$tools/bin/pip" install -q --disable-pip-version-check --require-hashes -r requirements/generate.txt
    cp requirements/generate.txt "$tools/installed.txt"
fi
"$tools/bin/python" generate.py "${check[@]}"
