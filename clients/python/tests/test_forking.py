"""A process that forks, as servers of web applications do."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from prompt_ledger.testing import DevServer

PROGRAM = """
import os, sys
import prompt_ledger
from prompt_ledger import errors

server, key, end = sys.argv[1:]
ledger = prompt_ledger.connect(server, api_key=key)
ledger.prompts.put("greet", "Hi {{name}}.", set_active=True)
cache = ledger.prompt_cache().synced()
updates = ledger.watch(ledger.submit("greet", {"name": "Ada"}).id)
next(updates)
assert cache.stale_since is None
child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    assert ledger.run("greet", {"name": "Ada"}).succeeded
    assert cache.stale_since is None
    updates.close()
    cache.close()
    ledger.close()
    sys.exit(os.waitstatus_to_exitcode(status))

def refused(call):
    try:
        call()
    except errors.ClientClosed as error:
        assert "in each process" in str(error), error
    else:
        raise AssertionError("it should have been refused")

refused(lambda: ledger.prompts.get("greet"))
refused(lambda: next(ledger.watch("e1")))
refused(lambda: next(updates))
refused(lambda: cache.reached(10**6, timeout=None))
assert cache.get("greet").number == 1, "what is held can still be read"
assert cache.stale_since is not None
assert isinstance(cache.failure, errors.ClientClosed)
updates.close()
cache.close()
ledger.close()
if end == "at once":
    os._exit(7)
sys.exit(7)
"""


@pytest.mark.parametrize("end", ["at once", "in order"])
def test_in_a_forked_process_a_client_says_that_another_is_needed(prompt_ledger_server: DevServer, end: str) -> None:
    server = prompt_ledger_server
    command = [sys.executable, "-c", PROGRAM, server.server, server.api_key, end]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 7, ran.stderr
