#!/bin/sh
# Checks the prompts of a commit against Prompt Ledger, and shows what would change there. It writes nothing.
#
# Arguments: folders of prompts, relative to the repository's root. None: prompts.
# The server is that of the environment or of a profile, as `ledgerctl --help` says; LEDGERCTL names another binary.
#
# Prompts that the ledger would refuse keep the commit back. A server that cannot be reached does not, unless
# PROMPTS_MUST_BE_CHECKED is set.
set -eu

ledgerctl=${LEDGERCTL:-ledgerctl}
[ $# -gt 0 ] || set -- prompts
cd "$(git rev-parse --show-toplevel)"

if git diff --cached --quiet -- "$@"; then
    exit 0
fi

# What is to be committed, which the working tree may differ from.
staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT
trap 'exit 130' INT TERM
git ls-files -z -- "$@" | git checkout-index -z --stdin --prefix="$staged/"

code=0
for folder in "$@"; do
    [ -e "$staged/$folder" ] || continue
    own=0
    (cd "$staged" && "$ledgerctl" register --dry-run --no-source -- "$folder") || own=$?
    if [ "$own" -gt "$code" ]; then code=$own; fi
done

case $code in
    0 | 1) exit 0 ;;
    3)
        if [ -n "${PROMPTS_MUST_BE_CHECKED:-}" ]; then
            echo "The prompts are not checked, so the commit is kept back: PROMPTS_MUST_BE_CHECKED is set." >&2
            exit 3
        fi
        echo "The prompts are not checked; the commit goes on." >&2
        ;;
    *)
        echo "The commit is kept back: the ledger would refuse these prompts." >&2
        exit "$code"
        ;;
esac
