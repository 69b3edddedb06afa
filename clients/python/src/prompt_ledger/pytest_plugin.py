"""Fixtures of pytest, found by it where this package is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from prompt_ledger import PromptLedger
    from prompt_ledger.testing import DevServer


@pytest.fixture(scope="session")
def prompt_ledger_server() -> Iterator[DevServer]:
    """A ledger of its own for the whole run: ``prompt-ledger dev`` with ``echo`` as its model."""
    # Imported when it is used: whoever does not use it does not wait for gRPC to load.
    from prompt_ledger.testing import dev_server

    with dev_server() as server:
        yield server


@pytest.fixture
def prompt_ledger_client(prompt_ledger_server: DevServer) -> Iterator[PromptLedger]:
    """A blocking client of it."""
    with prompt_ledger_server.connect() as ledger:
        yield ledger
