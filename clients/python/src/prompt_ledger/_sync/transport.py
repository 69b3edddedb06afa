"""Calls over one channel."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import grpc

from prompt_ledger._calls import Call, Pages, Program, check_further
from prompt_ledger._forking import Owner, keep_over_fork
from prompt_ledger._settings import Settings
from prompt_ledger._status import from_rpc
from prompt_ledger._steps.machine import StreamCall
from prompt_ledger._steps.retry import Attempts, Moment
from prompt_ledger._sync.stream import ServerStream
from prompt_ledger._wire import KeyedChannel, RawStubs, channel_options, credentials
from prompt_ledger.errors import ClientClosed

T = TypeVar("T")


class Transport:
    """A connection, made with the first call and again when it breaks."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        target, options = settings.target, channel_options(settings.target)
        secure = credentials(target)
        if secure is None:
            channel = grpc.insecure_channel(target.address, options)
        else:
            channel = grpc.secure_channel(target.address, secure, options)
        self._channel = grpc.intercept_channel(channel, *settings.interceptors)
        self.raw = RawStubs(KeyedChannel(self._channel, target.headers))
        keep_over_fork(channel)
        self._owner = Owner()
        self._is_closed = False
        self._woken = threading.Condition()

    def call(self, call: Call[T]) -> T:
        """Makes a call, and again where that is of use, until its limit."""
        method, logger = self.raw.method(call.service, call.method), self.settings.logger
        began = time.monotonic()
        attempts = Attempts(call.limit or self.settings.timeout, began, freely=call.freely)
        while True:
            self.check_open()
            try:
                answer = method(call.request, timeout=attempts.left(time.monotonic()))
            except grpc.RpcError as rpc_error:
                error = from_rpc(rpc_error)
                self.check_open()
            except ValueError:
                # Closed by another thread meanwhile.
                self.check_open()
                raise
            else:
                logger.debug("%s: OK after %.3f s", call.method, time.monotonic() - began)
                return call.read(answer)
            delay = attempts.delay(error, self.moment())
            if delay is None:
                logger.debug("%s: %s after %.3f s", call.method, error.reason or error.code.name, time.monotonic() - began)
                raise error
            logger.info("%s: %s, again in %.3f s", call.method, error.reason or error.code.name, delay)
            self.sleep(delay)

    def pages(self, pages: Pages[T]) -> Iterator[T]:
        """The items of all pages, each page read when it is reached."""
        token, more = "", True
        while more:
            items, following = self.call(pages(token))
            yield from items
            more, token = check_further(token, following), following

    def program(self, program: Program[T]) -> T:
        """Makes the calls of a program."""
        answer = None
        while True:
            try:
                call = program.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            answer = self.call(call)

    def open(self, call: StreamCall[T], *, resumes: bool) -> ServerStream[T]:
        """Opens a stream. One that is resumed by another one breaks when its buffer is full; otherwise its server waits."""
        self.check_open()
        try:
            opened = self.raw.method(call.service, call.method)(call.request)
        except ValueError:
            # Closed by another thread meanwhile.
            self.check_open()
            raise
        return ServerStream(opened, call.read, overflows=resumes)

    def sleep(self, seconds: float, ended: Callable[[], bool] = bool) -> None:
        """Waits, at most until the client is closed, or until it has ended and :meth:`wake` was called."""
        with self._woken:
            self._woken.wait_for(lambda: self._is_closed or ended(), seconds)

    def wake(self) -> None:
        """Whoever sleeps looks whether it has ended."""
        # In a forked process nobody sleeps, and nobody may be left to give the lock back.
        if not self._owner.is_gone:
            with self._woken:
                self._woken.notify_all()

    def check_open(self) -> None:
        if (failure := self._owner.failure) is not None:
            raise failure
        if self._is_closed:
            raise ClientClosed("the client was closed")

    def close(self) -> None:
        self._is_closed = True
        if not self._owner.is_gone:
            self.wake()
            self._channel.close()

    @staticmethod
    def moment() -> Moment:
        return Moment(time.monotonic(), random.random())
