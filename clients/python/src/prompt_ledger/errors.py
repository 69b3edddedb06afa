"""Errors: one class for each reason that a server gives, all of them :class:`LedgerError`.

A reason that this client does not know is raised as the class of its gRPC code: ``NotFound``, ``Unavailable``, and so on. These
are the bases of the classes of reasons, so ``except NotFound`` catches a ``PromptNotFound`` too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from prompt_ledger.records import Execution

# How the message of a call begins that found no connection to send itself over.
_UNCONNECTED = ("failed to connect to all", "connections to all backends failing", "dns resolution failed", "empty address list")


class LedgerError(Exception):
    """The base of all errors of this package.

    :ivar code: the gRPC status code.
    :ivar reason: why, as in the contract's ``ErrorReason`` without its prefix; empty where no server gave one.
    :ivar fields: what is wrong with which field of the request.
    :ivar metadata: what else the server tells, such as ``prompt`` or ``execution_id``.
    :ivar retry_after: seconds after which the server asks to be called again; ``None`` where it does not.
    """

    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        reason: str = "",
        fields: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.reason = reason
        self.fields = dict(fields or {})
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after

    @property
    def message(self) -> str:
        return str(self)

    @property
    def nothing_began(self) -> bool:
        """Whether the server has certainly not begun with the request."""
        if self.reason:
            return self.reason in ("DRAINING", "OVERLOADED") and "execution_id" not in self.metadata
        return self.code is grpc.StatusCode.UNAVAILABLE and self.message.lower().startswith(_UNCONNECTED)


# By code.


class Cancelled(LedgerError):
    """The call was ended by its caller, or its connection broke."""

    code = grpc.StatusCode.CANCELLED


class Unknown(LedgerError):
    """The connection broke, or something between answered."""

    code = grpc.StatusCode.UNKNOWN


class InvalidArgument(LedgerError):
    """The request is wrong, whatever the state of the ledger."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class DeadlineExceeded(LedgerError, TimeoutError):
    """The deadline passed. What an execution with an idempotency key came to, a repeat finds."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class NotFound(LedgerError):
    """Something that the request names does not exist."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(LedgerError):
    """Something that the request would make exists."""

    code = grpc.StatusCode.ALREADY_EXISTS


class PermissionDenied(LedgerError):
    """The key does not open this."""

    code = grpc.StatusCode.PERMISSION_DENIED


class ResourceExhausted(LedgerError):
    """Too much, too many or too large."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class FailedPrecondition(LedgerError):
    """The ledger is not in the state that the request needs."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(LedgerError):
    """The call met another one."""

    code = grpc.StatusCode.ABORTED


class OutOfRange(LedgerError):
    """A cursor is beyond what there is."""

    code = grpc.StatusCode.OUT_OF_RANGE


class Unimplemented(LedgerError):
    """The server has no such method, or does not read the request's encoding."""

    code = grpc.StatusCode.UNIMPLEMENTED


class Internal(LedgerError):
    """A failure of the server, or a broken connection. ``metadata["error_id"]`` finds the cause in the server's log."""

    code = grpc.StatusCode.INTERNAL


class Unavailable(LedgerError):
    """There is no connection, it broke, or the server cannot answer now."""

    code = grpc.StatusCode.UNAVAILABLE


class DataLoss(LedgerError):
    """Not raised by servers."""

    code = grpc.StatusCode.DATA_LOSS


class Unauthenticated(LedgerError):
    """The key is missing or wrong."""

    code = grpc.StatusCode.UNAUTHENTICATED


# By reason.


class PromptNotFound(NotFound):
    """No prompt of that name exists in the project."""


class VersionNotFound(NotFound):
    """The prompt has no version of that number or content."""


class LabelNotFound(NotFound):
    """The prompt has no such label."""


class ProviderNotFound(NotFound):
    """The server knows no provider of that name."""


class ModelNotFound(NotFound):
    """The model is not registered; the message gives the call that registers it."""


class ExecutionNotFound(NotFound):
    """The project has no execution of that id."""


class ProjectNotFound(NotFound):
    """No project of that name exists, or the key is another project's."""


class InvalidField(InvalidArgument):
    """A field's value breaks its rule; ``fields`` says which and how."""


class TemplateInvalid(InvalidArgument):
    """The template does not parse; ``metadata`` has ``line`` and ``column``."""


class VariablesMissing(InvalidArgument):
    """The template reads variables that were not sent."""

    @property
    def missing(self) -> list[str]:
        """The names of the variables, sorted."""
        return sorted(field.removeprefix("variables.") for field in self.fields)


class TemplateHashMismatch(InvalidArgument):
    """The hash sent with a content is not its hash; ``metadata`` has the ``computed_hash``."""


class PageTokenInvalid(InvalidArgument):
    """The page token comes from another list."""


class ModeMismatch(FailedPrecondition):
    """The prompt is in another mode than the call is for; ``metadata`` has its ``mode`` and the RPC to use (``use_rpc``)."""


class NoActiveVersion(FailedPrecondition):
    """The prompt has no active version, and the request named none."""


class VersionInUse(FailedPrecondition):
    """The version is active or labelled, and cannot be deprecated."""


class PromptArchived(FailedPrecondition):
    """The prompt is archived: it can be read, but neither written nor executed."""


class TemplateOpaque(FailedPrecondition):
    """An opaque template is never rendered: execute it by ``messages``."""


class ProviderNotConfigured(FailedPrecondition):
    """The provider has neither a key nor a base URL of its own."""


class ExecutionFinished(FailedPrecondition):
    """The execution has succeeded or failed and cannot be canceled."""


class EtagMismatch(Aborted):
    """The prompt was written after its etag was read."""


class PromptExists(AlreadyExists):
    """The prompt exists, and the request has ``create_only``."""


class IdempotencyKeyReused(AlreadyExists):
    """Another request has used that idempotency key."""

    @property
    def execution_id(self) -> str:
        """The execution that has the key."""
        return self.metadata.get("execution_id", "")


class KeyMissing(Unauthenticated):
    """The request has no API key."""


class KeyInvalid(Unauthenticated):
    """The API key is malformed, unknown, revoked or not accepted on this server."""


class ScopeMissing(PermissionDenied):
    """The call needs a system key."""


class TooLarge(ResourceExhausted):
    """Something is larger than its limit; a repeat is refused alike."""


class Overloaded(ResourceExhausted):
    """A queue or budget of the server is full; see ``retry_after``."""

    @property
    def execution_id(self) -> str:
        """The execution that was recorded all the same: read it instead. Empty where none was."""
        return self.metadata.get("execution_id", "")


class TooManyWatchers(ResourceExhausted):
    """The key or the server has its maximum of watches."""


class RateLimited(ResourceExhausted):
    """The key calls too often."""


class EventsCompacted(OutOfRange):
    """What the cursor points at is no longer stored."""


class SequenceAhead(OutOfRange):
    """The cursor is beyond the execution's last event."""


class RevisionAhead(OutOfRange):
    """The revision is beyond the project's."""


class SlowConsumer(Aborted):
    """The client did not read its stream for too long."""


class Draining(Unavailable):
    """The server shuts down, or the stream has reached its maximum age."""


class StoreUnavailable(Unavailable):
    """The database did not answer in time."""


# Of this client alone.


class ClientError(LedgerError):
    """The base of the errors that no server sent."""


class InvalidOptions(ClientError, ValueError):
    """The options of the client cannot be used."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class ClientClosed(ClientError):
    """The client was closed."""

    code = grpc.StatusCode.CANCELLED


class GaveUp(ClientError):
    """A watch broke, and nothing came of trying for ``patience``."""

    code = grpc.StatusCode.UNAVAILABLE


class NotResumable(ClientError):
    """A stream broke. Its spec has no idempotency key, so the execution, if it began, is canceled."""

    code = grpc.StatusCode.UNAVAILABLE


class Unreadable(ClientError):
    """The execution ended in a way that this client does not know; a newer client is needed."""

    code = grpc.StatusCode.UNIMPLEMENTED


class NotSynced(ClientError):
    """The prompt cache has not been filled yet."""

    code = grpc.StatusCode.UNAVAILABLE


class ExecutionFailed(ClientError):
    """The execution failed, or was canceled; raised by ``raise_for_status``."""

    def __init__(self, execution: Execution) -> None:
        why = execution.error_message or execution.error_type or execution.cancel_reason
        super().__init__(f"execution {execution.id} {execution.status}" + (f": {why}" if why else ""))
        self.execution = execution
