"""What both transports make their channels and calls of."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import grpc

from prompt_ledger._proto.analytics_pb2_grpc import AnalyticsServiceStub
from prompt_ledger._proto.code_registration_pb2_grpc import CodeRegistrationServiceStub
from prompt_ledger._proto.execution_pb2_grpc import ExecutionServiceStub
from prompt_ledger._proto.registry_pb2_grpc import RegistryServiceStub
from prompt_ledger._version import __version__
from prompt_ledger.options import Target

if TYPE_CHECKING:
    from prompt_ledger._proto.analytics_pb2_grpc import AnalyticsServiceAsyncStub
    from prompt_ledger._proto.code_registration_pb2_grpc import CodeRegistrationServiceAsyncStub
    from prompt_ledger._proto.execution_pb2_grpc import ExecutionServiceAsyncStub
    from prompt_ledger._proto.registry_pb2_grpc import RegistryServiceAsyncStub

try:
    from opentelemetry import propagate
except ImportError:
    inject: Callable[[dict[str, str]], None] | None = None
else:
    inject = propagate.inject

Metadata = Sequence[tuple[str, str | bytes]]

LOGGER = logging.getLogger("prompt_ledger")

# HTTP/2 window of a stream, in bytes: what a reader leaves unread beyond it stays in the server, which thereby detects it.
_STREAM_WINDOW = 64 * 1024
# An execution encodes to less than 3 MiB, a page or a change of a prompt to less still.
_LARGEST_ANSWER = 8 * 1024 * 1024


def channel_options(target: Target) -> list[tuple[str, Any]]:
    return [
        # Retries are this layer's alone. What gRPC knows the server not to have seen, it still sends again by itself.
        ("grpc.service_config_disable_resolution", 1),
        # A ping every 20 s while calls are open, answered within 10 s; as many as it takes.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.lookahead_bytes", _STREAM_WINDOW),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_receive_message_length", _LARGEST_ANSWER),
        # A connection is given 10 s. The layer paces what it tries again: a new connection is not to keep it waiting.
        ("grpc.min_reconnect_backoff_ms", 10_000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        # A connection of its own, which ends with the client.
        ("grpc.use_local_subchannel_pool", 1),
        # A proxy would read what is sent in plain text, the key too.
        ("grpc.enable_http_proxy", 0 if target.tls is None else 1),
        ("grpc.primary_user_agent", f"prompt-ledger-python/{__version__}"),
    ]


def credentials(target: Target) -> grpc.ChannelCredentials | None:
    """None: plain text."""
    if target.tls is None:
        return None
    return grpc.ssl_channel_credentials(target.tls.roots, target.tls.key, target.tls.certificate)


class KeyedChannel:
    """A channel, of either transport, whose calls carry the key, the project and the current trace context."""

    def __init__(self, channel: Any, headers: Metadata) -> None:
        self._channel, self._headers = channel, headers

    def unary_unary(self, *arguments: Any, **named: Any) -> _KeyedCall:
        return _KeyedCall(self._channel.unary_unary(*arguments, **named), self._headers)

    def unary_stream(self, *arguments: Any, **named: Any) -> _KeyedCall:
        return _KeyedCall(self._channel.unary_stream(*arguments, **named), self._headers)


class _KeyedCall:
    def __init__(self, callable_: Any, headers: Metadata) -> None:
        self._callable, self._headers = callable_, headers

    def __call__(self, request: Any, timeout: float | None = None, metadata: Metadata = (), **named: Any) -> Any:
        return self._callable(request, timeout=timeout, metadata=self._metadata(metadata), **named)

    def with_call(self, request: Any, timeout: float | None = None, metadata: Metadata = (), **named: Any) -> Any:
        return self._callable.with_call(request, timeout=timeout, metadata=self._metadata(metadata), **named)

    def future(self, request: Any, timeout: float | None = None, metadata: Metadata = (), **named: Any) -> Any:
        return self._callable.future(request, timeout=timeout, metadata=self._metadata(metadata), **named)

    def _metadata(self, metadata: Metadata) -> Metadata:
        trace: dict[str, str] = {}
        if inject is not None:
            inject(trace)
        return (*self._headers, *trace.items(), *metadata)


class RawStubs:
    """The generated stubs over the client's connection, for all that the layer does not have. They carry the key."""

    def __init__(self, channel: KeyedChannel) -> None:
        keyed = cast(grpc.Channel, channel)
        self.registry = RegistryServiceStub(keyed)
        self.executions = ExecutionServiceStub(keyed)
        self.code = CodeRegistrationServiceStub(keyed)
        self.analytics = AnalyticsServiceStub(keyed)

    def __repr__(self) -> str:
        return "RawStubs(registry, executions, code, analytics)"

    def method(self, service: str, method: str) -> Any:
        return getattr(getattr(self, service), method)


class AsyncRawStubs(Protocol):
    """The same for asyncio: their calls are awaited."""

    registry: RegistryServiceAsyncStub
    executions: ExecutionServiceAsyncStub
    code: CodeRegistrationServiceAsyncStub
    analytics: AnalyticsServiceAsyncStub

    def method(self, service: str, method: str) -> Any: ...
