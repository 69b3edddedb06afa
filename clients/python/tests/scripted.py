"""A server that answers as it is told, and keeps what it was asked."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from prompt_ledger import proto

KEY = "pl_very-secret"


@dataclass(frozen=True)
class Refusal:
    """An error. Without a reason it has no details, as when a proxy answers."""

    code: grpc.StatusCode
    reason: str = ""
    retry: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    message: str = "said so"
    details_retry: int | None = None
    """Seconds that a delay may not have, sent all the same."""

    def details(self) -> bytes:
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        info = error_details_pb2.ErrorInfo(reason=self.reason, domain="promptledger.dev", metadata=self.metadata)
        status.details.add().Pack(info)
        if self.retry is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromTimedelta(timedelta(seconds=self.retry))
            status.details.add().Pack(retry)
        if self.details_retry is not None:
            status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay={"seconds": self.details_retry}))
        if self.fields:
            request = error_details_pb2.BadRequest()
            for name, problem in self.fields.items():
                request.field_violations.add(field=name, description=problem)
            status.details.add().Pack(request)
        return status.SerializeToString()


class Hang:
    """Nothing more comes until the client hangs up."""


Item = Message | Refusal | Hang | threading.Event | Callable[[], None]
Answer = Item | list[Item]


@dataclass(frozen=True)
class Asked:
    method: str
    request: Any
    headers: dict[str, str]
    timeout: float | None


class Scripted(grpc.GenericRpcHandler):
    """Each call of a method takes the next of its answers; the last one is repeated. ``hung_up`` is set once a client has ended
    a call before its answer was over.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.hung_up = threading.Event()
        self._answers: dict[str, deque[Answer]] = defaultdict(deque)
        self._server = grpc.server(ThreadPoolExecutor(64))
        self._server.add_generic_rpc_handlers((self,))
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def on(self, method: str, *answers: Answer) -> None:
        self._answers[method].extend(answers)

    def requests(self, method: str) -> list[Any]:
        return [asked.request for asked in self.asked if asked.method == method]

    def stop(self) -> None:
        self._server.stop(0).wait()

    def service(self, details: Any) -> Any:
        _, service, name = details.method.split("/")
        descriptor = _service(service).methods_by_name[name]
        request = getattr(proto, descriptor.input_type.name)

        answer = getattr(proto, descriptor.output_type.name)

        def behaviour(message: Any, context: Any) -> Iterator[Any]:
            remaining = context.time_remaining()
            headers = dict(context.invocation_metadata())
            self.asked.append(Asked(name, message, headers, remaining if remaining and remaining < 1e6 else None))
            answers = self._answers[name]
            if not answers:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"nothing is scripted for {name}")
            played = threading.Event()
            if not context.add_callback(lambda: self.hung_up.set() if not played.is_set() else None):
                # It was ended before its answer began.
                self.hung_up.set()
            yield from self._play(answers.popleft() if len(answers) > 1 else answers[0], context, played)

        if descriptor.server_streaming:
            return grpc.unary_stream_rpc_method_handler(behaviour, request.FromString, _serialize)
        return grpc.unary_unary_rpc_method_handler(
            lambda message, context: next(iter(list(behaviour(message, context))), answer()), request.FromString, _serialize
        )

    @staticmethod
    def _play(answer: Answer, context: Any, played: threading.Event) -> Iterator[Any]:
        for item in answer if isinstance(answer, list) else [answer]:
            match item:
                case Refusal():
                    if item.reason:
                        context.set_trailing_metadata((("grpc-status-details-bin", item.details()),))
                    played.set()
                    context.abort(item.code, item.message)
                case Hang():
                    gone = threading.Event()
                    if context.add_callback(gone.set):
                        gone.wait()
                    return
                case threading.Event():
                    item.wait()
                case Message():
                    yield item
                case _:
                    item()
        played.set()


def _service(name: str) -> Any:
    return proto.Execution.DESCRIPTOR.file.pool.FindServiceByName(name)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
