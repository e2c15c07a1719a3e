"""A simulator in a thread of its own, with a plain synchronous face for tests."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from hub.ocpi.datatypes import InterfaceRole
from party.connection import Connection
from party.messages import Answered, Received
from simulators.faulty_platform import FaultyPlatform

P = TypeVar("P", bound=FaultyPlatform)
T = TypeVar("T")
# Of a wait in a test: one that is green never waits for its end, on however slow a machine.
PATIENCE: Final = 60.0


class Running(Generic[P]):
    """`with Running(Cpo()) as cpo:` listens on a free loopback port until the block ends."""

    def __init__(self, simulator: P) -> None:
        self.simulator = simulator
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=simulator.name, daemon=True
        )
        self._changed = threading.Condition()
        simulator.on_change = self._wake

    def start(self) -> Self:
        """Start the thread and listen."""
        self._thread.start()
        self.run(self.simulator.start())
        return self

    def stop(self) -> None:
        """Close all connections and end the thread; harmless when done twice."""
        if self._loop.is_closed():
            return
        self.run(self.simulator.stop())
        self.run(_end_tasks())
        self.run(hang_up_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def run(self, work: Coroutine[Any, Any, T], timeout: float = PATIENCE) -> T:
        """Run a coroutine of the simulator and return what it returns."""
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result(timeout)
        except TimeoutError:
            running.cancel()
            raise

    @property
    def versions_url(self) -> str:
        """The URL that a counterpart is told."""
        return self.simulator.versions_url

    @property
    def url(self) -> str:
        """The root of the simulator's server."""
        return self.simulator.url

    def register(
        self, versions_url: str, token_a: str, *, base64_encoded: bool = True
    ) -> Connection:
        """The whole handshake as Sender."""
        return self.run(
            self.simulator.register(versions_url, token_a, base64_encoded=base64_encoded)
        )

    def update_credentials(self) -> Connection:
        """PUT of credentials: both tokens change."""
        return self.run(self.simulator.update_credentials())

    def unregister(self) -> Answered:
        """DELETE of credentials."""
        return self.run(self.simulator.unregister())

    def call(
        self, module: str, interface: InterfaceRole | str, method: str, path: str = "", **more: Any
    ) -> Answered:
        """Platform.call: `to`, `from_`, `body`, `query`, `headers`, `connection`, `within`."""
        return self.run(self.simulator.call(module, InterfaceRole(interface), method, path, **more))

    def set_faults(self, *, module: str | None = None, **switches: Any) -> None:
        """Switch faults on or off, see simulators.faults.Switches."""
        self.simulator.faults.set(module=module, **switches)
        self.run(self.simulator.apply_faults())

    def clear_faults(self) -> None:
        """Behave well again."""
        self.simulator.faults.clear()
        self.run(self.simulator.apply_faults())

    def received(
        self,
        *,
        module: str | None = None,
        method: str | None = None,
        interface: InterfaceRole | str | None = None,
    ) -> list[Received]:
        """The messages that have come, oldest first."""
        role = interface.lower() if interface else None
        return [
            message
            for message in tuple(self.simulator.received)
            if module in (None, message.module)
            and method in (None, message.method)
            and role in (None, message.interface)
        ]

    def wait_for(self, predicate: Callable[[], T], timeout: float = PATIENCE) -> T:
        """Return the first true value of `predicate`; AssertionError when none comes in time.

        It is asked again whenever the simulator has answered a message or ended a job, and ten
        times a second besides, since it may look at something else.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while not (value := predicate()):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"nothing of the kind within {timeout} s")
                self._changed.wait(min(left, 0.1))
        return value

    def wait_for_message(
        self,
        *,
        module: str | None = None,
        method: str | None = None,
        interface: InterfaceRole | str | None = None,
        count: int = 1,
        timeout: float = PATIENCE,
    ) -> list[Received]:
        """Wait until `count` such messages have come, and return them all."""

        def enough() -> list[Received]:
            messages = self.received(module=module, method=method, interface=interface)
            return messages if len(messages) >= count else []

        return self.wait_for(enough, timeout)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


async def _end_tasks() -> None:
    """What asyncio.run does at its end: a handler that still waits is cancelled, and heard out."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def hang_up_all() -> None:
    """End the connections that this loop still has, before it ends itself.

    One that was closed with something unsent waits for the other side to read, also when nobody
    will: after its loop Python would find it unclosed, in the middle of whichever test that is.
    """
    for transport in list(vars(asyncio.get_running_loop())["_transports"].values()):
        transport.abort()
    await asyncio.sleep(0)
