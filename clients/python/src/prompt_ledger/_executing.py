"""Which texts a client has registered, and the specs that execute them."""

from __future__ import annotations

from prompt_ledger import _spec, code_prompts, proto
from prompt_ledger._ids import uuid7
from prompt_ledger._spec import SpecOptions
from prompt_ledger._values import Json, seconds
from prompt_ledger.code_prompts import Registration


class CodeHashes:
    """The hashes of the texts that this process carries, by the prompts' names: whoever executes one runs its own text, also
    while another release registers another.
    """

    def __init__(self, *, tracking_only: bool) -> None:
        self._tracking_only = tracking_only
        self._hashes: dict[str, str] = {}

    def keep(self, registration: Registration) -> None:
        self._hashes |= code_prompts.hashes(registration)

    def spec(
        self,
        prompt: str,
        variables: Json | None,
        options: SpecOptions,
        *,
        tracking: bool | None = None,
        keyed: bool = False,
    ) -> tuple[proto.ExecutionSpec, bool, float | None]:
        """The spec, whether its prompt is in code, and the deadline that was given. ``keyed`` gives it an idempotency key."""
        given = options.copy()
        deadline = given.pop("deadline", None)
        limit = seconds(deadline) if deadline is not None else None
        spec = _spec.spec(prompt, variables, given)
        if tracking is None:
            tracking = self._tracking_only or prompt in self._hashes
        if tracking and spec.WhichOneof("selector") is None and prompt in self._hashes:
            spec.checksum_hash = self._hashes[prompt]
        if keyed and not spec.idempotency_key:
            spec.idempotency_key = uuid7()
        return spec, tracking, limit
