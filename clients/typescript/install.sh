#!/usr/bin/env bash
# Installs exactly what package-lock.json locks into the node_modules of a folder.
#
#   clients/typescript/install.sh FOLDER
set -euo pipefail

mkdir -p "${1:?names the folder}"
FOLDER=$(realpath "$1")
readonly FOLDER

cd "$(dirname "$0")"
cmp -s package-lock.json "$FOLDER/node_modules/installed.json" && exit
cp package.json package-lock.json .npmrc "$FOLDER"
npm ci --prefix "$FOLDER" --loglevel error
cp package-lock.json "$FOLDER/node_modules/installed.json"
