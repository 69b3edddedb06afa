"""The example service, with a ledger of its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prompt_ledger.testing import DevServer

APP = Path(__file__).parents[1] / "examples" / "shop" / "app.py"


@pytest.fixture
def shop(prompt_ledger_server: DevServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    testing = pytest.importorskip("fastapi.testclient")
    monkeypatch.setenv("LEDGER_SERVER", prompt_ledger_server.server)
    monkeypatch.setenv("LEDGER_API_KEY", prompt_ledger_server.api_key)
    spec = importlib.util.spec_from_file_location("shop_app", APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "shop_app", module)
    spec.loader.exec_module(module)
    with testing.TestClient(module.app) as client:
        yield client


def test_customers_are_greeted(shop: Any) -> None:
    customer = {"customer": "Ada", "points": 3}
    greeted = shop.post("/greetings", json=customer)
    assert greeted.status_code == 200
    assert greeted.json()["text"]
    assert shop.post("/greetings/stream", json=customer).text == greeted.json()["text"]


def test_letters_are_written_later_and_once(shop: Any) -> None:
    order = shop.post("/letters/17", json={"customer": "Ada"})
    assert order.status_code == 202
    assert shop.post("/letters/17", json={"customer": "Ada"}).json() == order.json()
    execution_id = order.json()["execution_id"]
    assert shop.get(f"/letters/{execution_id}").json()["status"] in ("queued", "running", "succeeded")
    unknown = shop.get("/letters/0190163d-8694-739b-aea5-966c26f8ad91")
    assert (unknown.status_code, unknown.json()["error"]) == (404, "EXECUTION_NOT_FOUND")


def test_editors_texts_are_read_from_memory(shop: Any, prompt_ledger_server: DevServer) -> None:
    assert shop.get("/texts/banner").json() == {"text": ""}
    with prompt_ledger_server.connect() as ledger:
        written = ledger.prompts.put("shop.banner", "Sale!", labels=["production"])
    shop.portal.call(shop.app.state.cache.reached, written.revision)
    assert shop.get("/texts/banner").json() == {"text": "Sale!"}
