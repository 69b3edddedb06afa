"""The client of Prompt Ledger, a control plane for GenAI prompts: prompts in one place, versioned, executed and traced.

``connect()`` makes a blocking client, ``aio.connect()`` one for asyncio.
"""

from prompt_ledger import aio, errors, proto
from prompt_ledger._sync.cache import PromptCache
from prompt_ledger._sync.client import Handle, PromptLedger, connect
from prompt_ledger._sync.prompts import Prompts
from prompt_ledger._sync.updates import Tail, Updates
from prompt_ledger._version import __version__
from prompt_ledger.code_prompts import Registration
from prompt_ledger.errors import LedgerError
from prompt_ledger.records import (
    Batch,
    Execution,
    Prompt,
    PromptChange,
    PromptVersion,
    RegisteredPrompt,
    Rendered,
    ToolCall,
    WrittenPrompt,
)
from prompt_ledger.updates import Changed, Ended, Found, Joined, Restarted, StateChange, Synced, Text

__all__ = [
    "Batch",
    "Changed",
    "Ended",
    "Execution",
    "Found",
    "Handle",
    "Joined",
    "LedgerError",
    "Prompt",
    "PromptCache",
    "PromptChange",
    "PromptLedger",
    "PromptVersion",
    "Prompts",
    "RegisteredPrompt",
    "Registration",
    "Rendered",
    "Restarted",
    "StateChange",
    "Synced",
    "Tail",
    "Text",
    "ToolCall",
    "Updates",
    "WrittenPrompt",
    "__version__",
    "aio",
    "connect",
    "errors",
    "proto",
]
