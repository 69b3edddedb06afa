#!/usr/bin/env bash
# Everything that a change of this package must pass; all steps run, also after one has failed.
#
#   PROMPT_LEDGER_BIN=target/debug/prompt-ledger clients/python/check.sh [FOLDER]
#   clients/python/check.sh FOLDER environments       only makes FOLDER/newest and FOLDER/oldest
#
# FOLDER has the virtual environments; target/clients/python of the workspace unless it is given. PYTHON names another python3.
set -euo pipefail

mkdir -p "${1:-$(dirname "$0")/../../target/clients/python}"
FOLDER=$(realpath "${1:-$(dirname "$0")/../../target/clients/python}")
readonly FOLDER
readonly PYTHON=${PYTHON:-python3}

failed=()

# step NAME COMMAND...: a heading, the command, its duration.
step() {
    local name=$1 start=$SECONDS result=passed
    shift
    printf '\n== %s\n' "$name"
    "$@" || { result=FAILED && failed+=("$name"); }
    printf '== %s: %s after %d s\n' "$name" "$result" "$((SECONDS - start))"
}

# environment NAME: exactly what requirements/NAME.txt locks.
environment() {
    local venv=$FOLDER/$1 lock=requirements/$1.txt
    cmp -s "$lock" "$venv/installed.txt" && return
    rm -rf "$venv" && "$PYTHON" -m venv "$venv" &&
        "$venv/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$lock" && cp "$lock" "$venv/installed.txt"
}

# The tests run the code of this folder, installed as a user would have it.
environments() {
    local name
    for name in newest oldest; do
        environment "$name" || return
    done
    for name in newest oldest; do
        "$FOLDER/$name/bin/pip" install -q --disable-pip-version-check --no-deps --no-build-isolation -e . || return
    done
}

[[ -z ${PROMPT_LEDGER_BIN:-} ]] || PROMPT_LEDGER_BIN=$(realpath "$PROMPT_LEDGER_BIN")
cd "$(dirname "$0")"
if [[ ${2:-} == environments ]]; then
    environments
    exit
fi
export PROMPT_LEDGER_BIN=${PROMPT_LEDGER_BIN:?names the binary of the server}

readonly BIN=$FOLDER/newest/bin
step 'environments' environments
step 'generated code' ./generate.sh --check "$FOLDER"
step 'ruff check' "$BIN/ruff" check .
step 'ruff format' "$BIN/ruff" format --check .
step 'mypy' "$BIN/mypy" src/prompt_ledger tests examples conformance_driver.py generate.py bench.py
step 'tests, newest runtime' "$BIN/pytest" -q
step 'tests, oldest runtime' "$FOLDER/oldest/bin/pytest" -q --ignore tests/test_package.py --ignore tests/test_example.py

if ((${#failed[@]})); then
    printf '\nfailed: %s\n' "${failed[@]}"
    exit 1
fi
