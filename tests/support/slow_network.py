"""A network between two programs of this machine that can be slow, or dead."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from tests.support.waiting import WAIT_SECONDS


class SlowNetwork:
    """Passes connections to `target_port` on, each piece after `delay` seconds.

    While `is_dead`, nothing arrives and nobody is told, as behind a firewall.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self.delay = 0.0
        self.is_dead = False
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        listening = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listening,))
        self._thread.start()
        assert listening.wait(WAIT_SECONDS)

    def _run(self, listening: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            for pair in ((reader, far_writer), (far_reader, writer)):
                task = self._loop.create_task(self._pass_on(*pair))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65_536):
                await asyncio.sleep(self.delay)
                while self.is_dead:
                    await asyncio.sleep(0.01)
                writer.write(piece)
                await writer.drain()
        writer.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
