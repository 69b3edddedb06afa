"""Errors from what calls end with: gRPC's status, and the details that the server has packed into it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from prompt_ledger.errors import ClientError, LedgerError

_DETAILS = "grpc-status-details-bin"


def _by_name(base: type[LedgerError]) -> Iterator[tuple[str, type[LedgerError]]]:
    """The classes by the reason or code that they are for: ``PromptNotFound`` by ``PROMPT_NOT_FOUND``."""
    for each in base.__subclasses__():
        if each is not ClientError:
            yield re.sub(r"(?<=[a-z])(?=[A-Z])", "_", each.__name__).upper(), each
            yield from _by_name(each)


_CLASSES = dict(_by_name(LedgerError))


def class_of(reason: str, code: grpc.StatusCode) -> type[LedgerError]:
    """The class for a reason, or else for a code."""
    return _CLASSES.get(reason) or _CLASSES.get(code.name, LedgerError)


def from_rpc(error: grpc.RpcError) -> LedgerError:
    """The error that a call has raised."""
    return from_status(error.code(), error.details(), error.trailing_metadata())


def from_status(code: grpc.StatusCode, message: str | None, trailers: Iterable[Any] | None) -> LedgerError:
    """The error that a call ended with."""
    status = status_pb2.Status()
    for key, value in trailers or ():
        if key == _DETAILS:
            try:
                status.ParseFromString(value if isinstance(value, bytes) else value.encode())
            except DecodeError:
                status.Clear()
    info, request, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    known: tuple[Any, ...] = (info, request, retry)
    asks = False
    for detail in status.details:
        for kind in known:
            if detail.Is(kind.DESCRIPTOR):
                detail.Unpack(kind)
                asks = asks or kind is retry
    return class_of(info.reason, code)(
        message or code.name,
        code=code,
        reason=info.reason,
        fields={violation.field: violation.description for violation in request.field_violations},
        metadata=info.metadata,
        retry_after=retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9 if asks else None,
    )


def from_exception(error: Exception) -> LedgerError:
    """The error of a stream that ended with one that is none of gRPC's."""
    unknown = class_of("", grpc.StatusCode.UNKNOWN)(f"{type(error).__name__}: {error}")
    unknown.__cause__ = error
    return unknown
