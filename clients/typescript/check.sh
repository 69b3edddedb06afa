#!/usr/bin/env bash
# Everything that a change of this package must pass; all steps run, also after one has failed.
#
#   PROMPT_LEDGER_BIN=target/debug/prompt-ledger clients/typescript/check.sh [FOLDER]
#   clients/typescript/check.sh FOLDER environments       only makes FOLDER/node_modules
#
# FOLDER has all that is installed; target/clients/typescript of the workspace unless it is given. node_modules of this folder
# becomes a link to it, by which sources and tools find packages.
set -euo pipefail

mkdir -p "${1:-$(dirname "$0")/../../target/clients/typescript}"
FOLDER=$(realpath "${1:-$(dirname "$0")/../../target/clients/typescript}")
readonly FOLDER

failed=()

# step NAME COMMAND...: a heading, the command, its duration.
step() {
    local name=$1 start=$SECONDS result=passed
    shift
    printf '\n== %s\n' "$name"
    "$@" || { result=FAILED && failed+=("$name"); }
    printf '== %s: %s after %d s\n' "$name" "$result" "$((SECONDS - start))"
}

environments() {
    ./install.sh "$FOLDER" && ln -sfn "$FOLDER/node_modules" node_modules
}

# Those of the package alone: they install it.
readonly PACKAGE_TESTS=tests/package.test.ts

tests() {
    local file files=()
    for file in tests/*.test.ts tests/*/*.test.ts; do
        [[ $file == "$PACKAGE_TESTS" ]] || files+=("$file")
    done
    node --conditions=prompt-ledger-source --test --test-concurrency=2 --test-reporter=dot --test-reporter-destination=stdout \
        --test-reporter=./tests/support/coverage-reporter.ts --test-reporter-destination=stdout \
        --experimental-test-coverage --test-coverage-include='src/**/*.ts' --test-coverage-lines=90 "${files[@]}"
}

package_tests() {
    node --conditions=prompt-ledger-source --test --test-reporter=spec "$PACKAGE_TESTS"
}

[[ -z ${PROMPT_LEDGER_BIN:-} ]] || PROMPT_LEDGER_BIN=$(realpath "$PROMPT_LEDGER_BIN")
cd "$(dirname "$0")"
if [[ ${2:-} == environments ]]; then
    environments
    exit
fi
export PROMPT_LEDGER_BIN=${PROMPT_LEDGER_BIN:?names the binary of the server}

export PATH=$FOLDER/node_modules/.bin:$PATH
step 'environments' environments
step 'generated code' ./generate.sh --check "$FOLDER"
step 'eslint' eslint .
step 'prettier' prettier --check --log-level warn .
step 'types' tsc -p tsconfig.json
step 'tests' tests
step 'package' package_tests

if ((${#failed[@]})); then
    printf '\nfailed: %s\n' "${failed[@]}"
    exit 1
fi
