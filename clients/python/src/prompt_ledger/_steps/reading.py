"""What a reader of an execution's updates has so far."""

from __future__ import annotations

from prompt_ledger.errors import ClientClosed
from prompt_ledger.records import Execution
from prompt_ledger.updates import Ended, Joined, Restarted, StateChange, Text, Update


class Reading:
    """The text of the present attempt, the id once it is known, and the execution once it has ended."""

    def __init__(self, execution_id: str = "") -> None:
        self.execution_id = execution_id
        self.execution: Execution | None = None
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def take(self, update: Update) -> None:
        match update:
            case Text():
                self._pieces.append(update.text)
            case Restarted():
                self._pieces.clear()
            case Joined() | StateChange():
                self.execution_id = update.execution_id
            case Ended():
                self.execution, self.execution_id = update.execution, update.execution.id

    def ended(self) -> Execution:
        """The execution, where the updates are over."""
        if self.execution is None:
            raise ClientClosed("the updates were closed before the execution ended")
        return self.execution
