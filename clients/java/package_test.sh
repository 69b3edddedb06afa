#!/usr/bin/env bash
# Builds the package as it is published, installs it into a repository of its own, and lets an empty project that depends on it run
# the first program of the README, against a server that is started for it.
#
#   PROMPT_LEDGER_BIN=... package_test.sh FOLDER
set -euo pipefail

FOLDER=$(realpath "${1:?names the folder of check.sh}")
readonly FOLDER published=$FOLDER/published project=$FOLDER/first-program
cd "$(dirname "$0")"

maven() {
    mvn -B -C -Dstyle.color=never "$@"
}

version=$(sed -n '0,/<artifactId>prompt-ledger-client</d; s:.*<version>\(.*\)</version>.*:\1:p' pom.xml | head -n 1)
readonly version jars=dev/promptledger/prompt-ledger-client/$version/prompt-ledger-client-$version

# Compiled anew: nothing that an earlier state of the sources has left is published.
rm -rf "$published" "$project" "$FOLDER/package"
maven -Dmaven.repo.local="$FOLDER/repository" -Dbuild.folder="$FOLDER/package" -Dmaven.test.skip -Djacoco.skip deploy \
    -DaltDeploymentRepository="published::file://$published"
for file in "$jars.jar" "$jars-sources.jar" "$jars-javadoc.jar" "$jars.pom"; do
    [[ -f $published/$file ]] || { echo "$file was not published" >&2 && exit 1; }
done

# The project knows Maven's own repository, and the folder: what it depends on comes by the published pom alone.
mkdir -p "$project/src/main/java"
awk '/^```java$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' README.md >"$project/src/main/java/Greeting.java"
cat >"$project/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId>
  <artifactId>first-program</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.release>17</maven.compiler.release>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency>
      <groupId>dev.promptledger</groupId>
      <artifactId>prompt-ledger-client</artifactId>
      <version>$version</version>
    </dependency>
  </dependencies>
  <repositories>
    <repository>
      <id>published</id>
      <url>file://$published</url>
    </repository>
  </repositories>
</project>
POM
# Whatever an earlier run has left of the package in the local repository is not it.
rm -rf "$FOLDER/repository/dev/promptledger"
plugin=$(sed -n 's:.*<version.dependency-plugin>\(.*\)</version.dependency-plugin>.*:\1:p' pom.xml)
compiler=$(sed -n 's:.*<version.compiler-plugin>\(.*\)</version.compiler-plugin>.*:\1:p' pom.xml)
maven -f "$project" -Dmaven.repo.local="$FOLDER/repository" \
    "org.apache.maven.plugins:maven-compiler-plugin:$compiler:compile" \
    "org.apache.maven.plugins:maven-dependency-plugin:$plugin:build-classpath" -Dmdep.outputFile="$project/classpath"

# The server ends with its standard input, which is this coprocess' pipe.
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
coproc SERVER { DEFAULT_MODEL=echo/echo "$PROMPT_LEDGER_BIN" dev --ready-json --exit-with-stdin --data-dir "$data/data" 2>"$data/log"; }
pid=$SERVER_PID
read -r ready <&"${SERVER[0]}" || { cat "$data/log" >&2 && exit 1; }
said=$(LEDGER_SERVER=$(sed 's/.*"grpc": *"\([^"]*\)".*/\1/' <<<"$ready") \
    LEDGER_API_KEY=$(sed 's/.*"key": *"\([^"]*\)".*/\1/' <<<"$ready") \
    java -cp "$project/target/classes:$(<"$project/classpath")" Greeting)
eval "exec ${SERVER[1]}>&-"
wait "$pid" || true
[[ -n $said ]] || { echo 'the first program has said nothing' >&2 && exit 1; }
echo "the first program says: $said"
