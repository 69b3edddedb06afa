"""The asyncio client: ``async with aio.connect() as ledger``."""

from prompt_ledger._aio.cache import AsyncPromptCache
from prompt_ledger._aio.client import AsyncHandle, AsyncPromptLedger, connect
from prompt_ledger._aio.prompts import AsyncPrompts
from prompt_ledger._aio.updates import AsyncTail, AsyncUpdates

__all__ = [
    "AsyncHandle",
    "AsyncPromptCache",
    "AsyncPromptLedger",
    "AsyncPrompts",
    "AsyncTail",
    "AsyncUpdates",
    "connect",
]
