"""A shop's service that greets its customers: FastAPI with Prompt Ledger.

``uvicorn app:app`` starts it. The ledger is that of the environment, or ``prompt-ledger dev`` on this machine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

from prompt_ledger import LedgerError, aio
from prompt_ledger.errors import NotFound


class Prompts:
    """The texts of this service. They live in its code, and are registered when it starts."""

    GREETING = "Greet {{customer}}, who has {{points}} points, in one sentence."


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with aio.connect() as ledger:
        await ledger.register_code_prompts(Prompts, created_by="shop")
        # What the editors write in the ledger is read from memory.
        async with ledger.prompt_cache(name_prefix="shop.") as cache:
            app.state.ledger, app.state.cache = ledger, cache
            yield


app = FastAPI(lifespan=lifespan)


def ledger_of(request: Request) -> aio.AsyncPromptLedger:
    ledger: aio.AsyncPromptLedger = request.app.state.ledger
    return ledger


Ledger = Annotated[aio.AsyncPromptLedger, Depends(ledger_of)]


class Greeting(BaseModel):
    customer: str
    points: int = 0


@app.post("/greetings")
async def greet(greeting: Greeting, ledger: Ledger) -> dict[str, str]:
    """Greets within the request."""
    result = (await ledger.execute("GREETING", greeting.model_dump())).raise_for_status()
    return {"execution_id": result.id, "text": result.text}


@app.post("/greetings/stream")
async def greet_slowly(greeting: Greeting, ledger: Ledger) -> StreamingResponse:
    """Greets while the model writes. A customer who leaves ends the call that is paid for."""

    async def texts() -> AsyncIterator[str]:
        async with ledger.stream("GREETING", greeting.model_dump()) as stream:
            async for text in stream.texts():
                yield text

    return StreamingResponse(texts(), media_type="text/plain")


@app.post("/letters/{order}", status_code=202)
async def write_letter(order: str, greeting: Greeting, ledger: Ledger) -> dict[str, str]:
    """Has a letter written later. The order's number makes the request safe to repeat."""
    handle = await ledger.submit("GREETING", greeting.model_dump(), idempotency_key=f"letter-{order}")
    return {"execution_id": handle.id}


@app.get("/letters/{execution_id}")
async def letter(execution_id: str, ledger: Ledger) -> dict[str, str]:
    execution = await ledger.handle(execution_id).get()
    return {"status": execution.status, "text": execution.text}


@app.get("/texts/{name}")
async def text(name: str, request: Request) -> dict[str, str]:
    """A text that the editors keep in the ledger, as it is now."""
    version = request.app.state.cache.get(f"shop.{name}", "production")
    return {"text": version.template if version is not None else ""}


@app.exception_handler(LedgerError)
async def refused(_request: Request, error: LedgerError) -> JSONResponse:
    status = 404 if isinstance(error, NotFound) else 502
    return JSONResponse({"error": error.reason or error.code.name, "message": error.message}, status)
