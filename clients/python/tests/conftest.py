from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import prompt_ledger
from prompt_ledger import aio
from tests.scripted import KEY, Scripted


@pytest.fixture(autouse=True)
def no_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Nothing of the developer's own ledger reaches a test."""
    for name in os.environ:
        if name.startswith("LEDGER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.stop()


@pytest.fixture(params=["sync", "asyncio"])
def flavor(request: pytest.FixtureRequest) -> str:
    """Which of the two clients a test is run with."""
    return str(request.param)


@pytest.fixture
async def connect(flavor: str) -> AsyncIterator[Callable[..., Any]]:
    """Makes clients of that flavor, which are closed at the end."""
    made: list[Any] = []

    def connect(*arguments: Any, **options: Any) -> Any:
        options.setdefault("api_key", KEY)
        make: Any = aio.connect if flavor == "asyncio" else prompt_ledger.connect
        made.append(make(*arguments, **options))
        return made[-1]

    yield connect
    for ledger in made:
        await close(ledger)


async def done(value: Any) -> Any:
    """What a call of either client answers."""
    return await value if inspect.isawaitable(value) else value


async def listed(values: Any) -> list[Any]:
    """All items of an iterator of either client."""
    if hasattr(values, "__aiter__"):
        return [value async for value in values]
    return list(values)


async def following(values: Any) -> Any:
    """The next item."""
    return await anext(values) if hasattr(values, "__anext__") else next(values)


async def until(condition: Callable[[], bool]) -> None:
    """Waits until it is so, for a minute at most."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- what is waited for wakes nobody
            await asyncio.sleep(0.005)


async def close(ledger: Any) -> None:
    await done(ledger.aclose() if hasattr(ledger, "aclose") else ledger.close())
