#!/usr/bin/env bash
# The driver of the conformance suite for this client; `check.sh FOLDER environments` makes what it needs.
#
#   conformance_driver.sh FOLDER
set -euo pipefail

readonly driver=${1:?names the folder of check.sh}/driver
# For a quick start: classes from the archive, no thorough compiler, one thread for garbage, Java's own sockets.
exec java -XX:SharedArchiveFile="$driver/classes.jsa" -Xshare:auto -Xlog:disable -Xlog:all=off \
    -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dio.grpc.netty.shaded.io.netty.transport.noNative=true \
    -cp "$(<"$driver/classpath")" dev.promptledger.client.conformance.Driver
