#!/usr/bin/env bash
# Everything that a change of this package must pass; all steps run, also after one has failed.
#
#   PROMPT_LEDGER_BIN=target/debug/prompt-ledger clients/java/check.sh [FOLDER]
#   clients/java/check.sh FOLDER environments       only makes what conformance_driver.sh needs
#
# FOLDER has all that is downloaded and built; target/clients/java of the workspace unless it is given.
set -euo pipefail

mkdir -p "${1:-$(dirname "$0")/../../target/clients/java}"
FOLDER=$(realpath "${1:-$(dirname "$0")/../../target/clients/java}")
readonly FOLDER

# Maven tells what is wrong, and no more.
export MAVEN_OPTS="${MAVEN_OPTS:-} -Dorg.slf4j.simpleLogger.defaultLogLevel=warn"

failed=()

# step NAME COMMAND...: a heading, the command, its duration.
step() {
    local name=$1 start=$SECONDS result=passed
    shift
    printf '\n== %s\n' "$name"
    "$@" || { result=FAILED && failed+=("$name"); }
    printf '== %s: %s after %d s\n' "$name" "$result" "$((SECONDS - start))"
}

# maven ARGUMENT...: with all its files in FOLDER, and the checksums of what it downloads checked.
maven() {
    mvn -B -C -Dstyle.color=never -Dmaven.repo.local="$FOLDER/repository" -Dbuild.folder="$FOLDER/build" "$@"
}

# What the driver needs: everything compiled and in jars, since only of those Java keeps an archive of loaded classes.
environments() {
    local driver=$FOLDER/driver libraries
    maven test-compile dependency:build-classpath -Dmdep.outputFile="$FOLDER/build/classpath" || return
    mkdir -p "$driver"
    cmp -s "$driver/built" <(built) && return
    libraries=$(<"$FOLDER/build/classpath")
    jar --create --file "$driver/client.jar" -C "$FOLDER/build/classes" . &&
        jar --create --file "$driver/driver.jar" -C "$FOLDER/build/test-classes" . &&
        printf '%s' "$driver/driver.jar:$driver/client.jar:$libraries" >"$driver/classpath" &&
        java -XX:ArchiveClassesAtExit="$driver/classes.jsa" -Xlog:disable -Xlog:all=off \
            -XX:+UseSerialGC -Dio.grpc.netty.shaded.io.netty.transport.noNative=true \
            -cp "$(<"$driver/classpath")" dev.promptledger.client.conformance.Warmup >"$driver/warmup" 2>&1 &&
        built >"$driver/built"
}

# tests: with how many there were, and how much of the code they have covered.
tests() {
    MAVEN_OPTS="$MAVEN_OPTS -Dorg.slf4j.simpleLogger.log.org.apache.maven.plugin.surefire=info" maven test || return
    awk -F, 'NR > 1 { missed += $8; covered += $9 }
        END { printf "%.1f %% of %d lines covered\n", 100 * covered / (covered + missed), covered + missed }' \
        "$FOLDER/build/site/jacoco/jacoco.csv"
}

# built: names and times of all that was compiled.
built() {
    find "$FOLDER/build/classes" "$FOLDER/build/test-classes" -name '*.class' -printf '%p %T@\n' | sort
}

[[ -z ${PROMPT_LEDGER_BIN:-} ]] || PROMPT_LEDGER_BIN=$(realpath "$PROMPT_LEDGER_BIN")
cd "$(dirname "$0")"
if [[ ${2:-} == environments ]]; then
    environments
    exit
fi
export PROMPT_LEDGER_BIN=${PROMPT_LEDGER_BIN:?names the binary of the server}

step 'environments' environments
step 'generated code' ./generate.sh --check "$FOLDER/generate"
step 'format' maven com.diffplug.spotless:spotless-maven-plugin:check
step 'lints and tests' tests
step 'package and a first program' ./package_test.sh "$FOLDER"

if ((${#failed[@]})); then
    printf '\nfailed: %s\n' "${failed[@]}"
    exit 1
fi
