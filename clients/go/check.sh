#!/usr/bin/env bash
# Everything that a change of this module must pass; all steps run, also after one has failed.
#
#   PROMPT_LEDGER_BIN=target/debug/prompt-ledger clients/go/check.sh [FOLDER]
#   clients/go/check.sh FOLDER environments       only makes FOLDER/bin, with the tools and conformance_driver
#
# FOLDER has the tools, the driver and the test's module; target/clients/go of the workspace unless it is given. Modules and compiled
# packages are in the caches of go.
set -euo pipefail

mkdir -p "${1:-$(dirname "$0")/../../target/clients/go}"
FOLDER=$(realpath "${1:-$(dirname "$0")/../../target/clients/go}")
readonly FOLDER
readonly BIN=$FOLDER/bin
# Statements of the hand-written code that the tests must reach, in percent.
readonly LEAST_COVERAGE=90

failed=()

# step NAME COMMAND...: a heading, the command, its duration.
step() {
    local name=$1 start=$SECONDS result=passed
    shift
    printf '\n== %s\n' "$name"
    "$@" || { result=FAILED && failed+=("$name"); }
    printf '== %s: %s after %d s\n' "$name" "$result" "$((SECONDS - start))"
}

# What the modules need. A download that fails is tried again.
downloads() {
    local module
    for module in . tools ledgerotel; do
        go mod download -C "$module" || go mod download -C "$module" || return
    done
}

environments() {
    downloads && GOBIN=$BIN go install -C tools tool ./generate &&
        go build -o "$BIN/" ./conformance_driver ./bench
}

# The lock files say exactly what is needed.
tidy() {
    local module result=0
    for module in . tools ledgerotel; do
        go mod verify -C "$module" >/dev/null && go mod tidy -C "$module" -diff || result=1
    done
    return $result
}

formatted() {
    local files
    files=$(gofmt -l .)
    [[ -z $files ]] || { printf '%s\n' "$files" && return 1; }
}

vet() {
    go vet ./... && go vet -C ledgerotel ./... && go vet -C tools ./...
}

staticcheck() {
    "$BIN/staticcheck" ./... && (cd ledgerotel && "$BIN/staticcheck" ./...)
}

# The race detector needs a compiler of C.
tests() {
    local race=() profile=$FOLDER/coverage total
    if command -v "$(go env CC)" >/dev/null; then
        race=(-race)
    else
        printf 'without the race detector: there is no %s\n' "$(go env CC)"
    fi
    go test "${race[@]}" -count=1 -coverpkg=.,./ledgertest,./cmd/... -coverprofile="$profile" . ./ledgertest ./cmd/... &&
        go test -C ledgerotel "${race[@]}" -count=1 ./... || return
    total=$(go tool cover -func="$profile" | awk '/^total:/ { print $3 + 0 }')
    printf 'coverage of statements: %s %%\n' "$total"
    awk -v total="$total" -v least="$LEAST_COVERAGE" 'BEGIN { exit total < least }'
}

# An empty project gets the module as it is published, without the modules inside it and without the tests, and runs the README's
# first program.
package() {
    local published=$FOLDER/published project=$FOLDER/project ready
    rm -rf "$published" "$project" && mkdir -p "$published" "$project" &&
        tar -c --exclude=./tools --exclude=./ledgerotel --exclude='*_test.go' . | tar -x -C "$published" &&
        awk '/^```go$/ { inside = 1; next } /^```$/ && inside { exit } inside' README.md >"$project/main.go" || return
    (
        cp go.sum "$project" && cd "$project" && go mod init example.com/project 2>/dev/null &&
            go mod edit -require=github.com/prompt-ledger/prompt-ledger/clients/go@v0.1.0 \
                -replace="github.com/prompt-ledger/prompt-ledger/clients/go=$published" &&
            go mod tidy && go build -o project .
    ) || return
    coproc SERVER { exec "$PROMPT_LEDGER_BIN" dev --ready-json --exit-with-stdin --data-dir "$project/data" 2>"$project/log"; }
    local pid=$SERVER_PID
    read -r -t 60 ready <&"${SERVER[0]}" || { cat "$project/log" && return 1; }
    LEDGER_SERVER=$(value grpc "$ready") LEDGER_API_KEY=$(value key "$ready") "$project/project" | tee "$project/output"
    printf '\n'
    exec {SERVER[1]}>&-
    wait "$pid"
    grep -q 'Say hello to Ada. <nil>' "$project/output" && grep -q 'Say hello to Grace.' "$project/output"
}

# value NAME OBJECT: a text of a flat JSON object.
value() {
    sed -E "s/.*\"$1\": *\"([^\"]*)\".*/\\1/" <<<"$2"
}

[[ -z ${PROMPT_LEDGER_BIN:-} ]] || PROMPT_LEDGER_BIN=$(realpath "$PROMPT_LEDGER_BIN")
cd "$(dirname "$0")"
if [[ ${2:-} == environments ]]; then
    environments
    exit
fi
export PROMPT_LEDGER_BIN=${PROMPT_LEDGER_BIN:?names the binary of the server}

step 'environments' environments
step 'generated code' ./generate.sh --check "$BIN"
step 'lock files' tidy
step 'gofmt' formatted
step 'go vet' vet
step 'staticcheck' staticcheck
step 'tests' tests
step 'package' package

if ((${#failed[@]})); then
    printf '\nfailed: %s\n' "${failed[@]}"
    exit 1
fi
