"""Calls over one channel of ``grpc.aio``."""

from __future__ import annotations

import asyncio
import random
import time
import weakref
from collections.abc import AsyncIterator
from typing import Any, TypeVar, cast

import grpc
import grpc.aio

from prompt_ledger._aio.stream import AsyncServerStream, ended
from prompt_ledger._calls import Call, Pages, Program, check_further
from prompt_ledger._forking import Owner, keep_over_fork
from prompt_ledger._settings import Settings
from prompt_ledger._steps.machine import StreamCall
from prompt_ledger._steps.retry import Attempts, Moment
from prompt_ledger._wire import AsyncRawStubs, KeyedChannel, RawStubs, channel_options, credentials
from prompt_ledger.errors import ClientClosed

T = TypeVar("T")


class AsyncTransport:
    """A connection, made with the first call and again when it breaks."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        target, options = settings.target, channel_options(settings.target)
        secure = credentials(target)
        if secure is None:
            channel = grpc.aio.insecure_channel(target.address, options, interceptors=settings.interceptors)
        else:
            channel = grpc.aio.secure_channel(target.address, secure, options, interceptors=settings.interceptors)
        self._channel = channel
        self.raw = cast(AsyncRawStubs, RawStubs(KeyedChannel(channel, target.headers)))
        keep_over_fork(channel)
        self._owner = Owner()
        self._is_closed = False
        self._sleeping: set[asyncio.Event] = set()
        self._streams: weakref.WeakSet[AsyncServerStream[Any]] = weakref.WeakSet()

    async def call(self, call: Call[T]) -> T:
        """Makes a call, and again where that is of use, until its limit."""
        method, logger = self.raw.method(call.service, call.method), self.settings.logger
        began = time.monotonic()
        attempts = Attempts(call.limit or self.settings.timeout, began, freely=call.freely)
        while True:
            self.check_open()
            asked = method(call.request, timeout=attempts.left(time.monotonic()))
            try:
                answer = await asked
            except (grpc.RpcError, asyncio.CancelledError) as raised:
                error = await ended(asked, raised)
                self.check_open()
            else:
                logger.debug("%s: OK after %.3f s", call.method, time.monotonic() - began)
                return call.read(answer)
            delay = attempts.delay(error, self.moment())
            if delay is None:
                logger.debug("%s: %s after %.3f s", call.method, error.reason or error.code.name, time.monotonic() - began)
                raise error
            logger.info("%s: %s, again in %.3f s", call.method, error.reason or error.code.name, delay)
            await self.sleep(delay)

    async def pages(self, pages: Pages[T]) -> AsyncIterator[T]:
        """The items of all pages, each page read when it is reached."""
        token, more = "", True
        while more:
            items, following = await self.call(pages(token))
            for item in items:
                yield item
            more, token = check_further(token, following), following

    async def program(self, program: Program[T]) -> T:
        """Makes the calls of a program."""
        answer = None
        while True:
            try:
                call = program.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            answer = await self.call(call)

    def open(self, call: StreamCall[T], *, resumes: bool) -> AsyncServerStream[T]:
        """Opens a stream. One that is resumed by another one breaks when its buffer is full; otherwise its server waits."""
        self.check_open()
        opened = self.raw.method(call.service, call.method)(call.request)
        stream = AsyncServerStream(opened, call.read, overflows=resumes)
        self._streams.add(stream)
        return stream

    async def sleep(self, seconds: float, woken: asyncio.Event | None = None) -> None:
        """Waits, at most until the client is closed, or until it is woken."""
        woken = woken or asyncio.Event()
        self._sleeping.add(woken)
        try:
            async with asyncio.timeout(0 if self._is_closed else seconds):
                await woken.wait()
        except TimeoutError:
            pass
        finally:
            self._sleeping.discard(woken)

    def check_open(self) -> None:
        if (failure := self._owner.failure) is not None:
            raise failure
        if self._is_closed:
            raise ClientClosed("the client was closed")

    async def close(self) -> None:
        self._is_closed = True
        if self._owner.is_gone:
            return
        for woken in self._sleeping:
            woken.set()
        # Older releases of gRPC leave these open.
        for stream in tuple(self._streams):
            stream.close()
        await self._channel.close()

    @staticmethod
    def moment() -> Moment:
        return Moment(time.monotonic(), random.random())
