"""``python -m prompt_ledger register FOLDER``: registers the prompts of a folder, for CI and deployments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from prompt_ledger import connect
from prompt_ledger.code_prompts import RegisterOptions
from prompt_ledger.errors import LedgerError


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m prompt_ledger", description=__doc__)
    commands = parser.add_subparsers(required=True)
    register = commands.add_parser("register", help="register the prompts of a folder")
    register.add_argument("folder", help="where the prompts are: shop/greeting.hbs is shop.greeting")
    register.add_argument("--dry-run", action="store_true", help="write nothing; exits with 1 where something would be written")
    register.add_argument("--no-activate", action="store_true", help="register without making the versions the active ones")
    register.add_argument("--created-by", default="", metavar="NAME", help="who registers them")
    register.add_argument("--repository", default="", metavar="NAME", help="where the code comes from")
    register.add_argument("--commit", default="", metavar="HASH", help="which commit of it this is")
    asked = parser.parse_args(arguments)
    options: RegisterOptions = {"created_by": asked.created_by, "repository": asked.repository, "commit": asked.commit}
    if asked.no_activate:
        options["set_active"] = False
    try:
        with connect() as ledger:
            registration = ledger.register_code_prompts(asked.folder, dry_run=asked.dry_run, **options)
    except (LedgerError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for prompt in registration.registered:
        print(f"{prompt.name}: {prompt.action}, version {prompt.version}")
        for warning in prompt.warnings:
            print(f"  warning: {warning}")
    print(registration.diff, end="")
    return registration.exit_code if asked.dry_run else 0


if __name__ == "__main__":
    sys.exit(main())
