"""The queue between the runtime's thread and whoever reads a result."""

from __future__ import annotations

import asyncio
import collections
import time
import warnings
from typing import Any


class AsyncQueue:
    """Filled from any thread, read by the loop that was running when it was made."""

    class EventLoopShutdownError(Exception):
        pass

    class MixedSyncAsyncAPIError(Exception):
        pass

    def __init__(self) -> None:
        self._items: collections.deque[Any] = collections.deque()
        self._filled = asyncio.Event()
        self._read_blocking = False
        self.sync_q = _SyncQueue(self, asyncio.get_running_loop())

    def empty(self) -> bool:
        return not self._items

    async def get(self) -> Any:
        if self._read_blocking:
            raise AsyncQueue.MixedSyncAsyncAPIError
        while not self._items:
            await self._filled.wait()
            self._filled.clear()
        return self._items.popleft()


class _SyncQueue:
    """The same queue for threads: ``put`` wakes the loop, ``get`` polls."""

    def __init__(self, queue: AsyncQueue, loop: asyncio.AbstractEventLoop) -> None:
        self._queue = queue
        self._loop = loop

    def put(self, item: Any) -> None:
        self._queue._items.append(item)
        if not self._loop.is_running():
            raise AsyncQueue.EventLoopShutdownError
        self._loop.call_soon_threadsafe(self._queue._filled.set)

    def get(self) -> Any:
        warnings.warn(
            "LLM API is running in async mode because you have a running event loop, but you are using sync API."
            " This may lead to potential performance loss.",
            stacklevel=4,
        )
        self._queue._read_blocking = True
        while not self._queue._items:
            time.sleep(0.01)
        return self._queue._items.popleft()


AsyncQueue.__module__ = "tensorrt_llm.llmapi.utils"
