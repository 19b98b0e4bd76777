"""Connections that say nothing: they are bounded in number and time, and keep nobody waiting."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from mersalg.serving.connections import Connections, possible_connections
from mersalg.serving.metrics import Metrics
from tests.support.metrics import metric
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import WAIT_SECONDS, eventually

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="only Linux says which connections there are"
)

HALF = b"POST /v1/suggestions HTTP/1.1\r\nHost: localhost\r\n"


@contextmanager
def more_files(wanted: int) -> Iterator[int]:
    """As many open files as the machine allows; how many connections fit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        yield possible_connections(wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def held(n: int) -> Iterator[tuple[int, list[socket.socket], list[socket.socket]]]:
    """A port, both ends of `n` connections to it; the first is the longest quiet."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=n))
        callers, ours = [], []
        for _ in range(n):
            callers.append(
                stack.enter_context(socket.create_connection(listener.getsockname(), WAIT_SECONDS))
            )
            ours.append(stack.enter_context(listener.accept()[0]))
        yield listener.getsockname()[1], callers, ours


def is_closed(caller: socket.socket) -> bool:
    caller.setblocking(False)
    try:
        return caller.recv(1) == b""
    except BlockingIOError:
        return False


def speak(callers: list[socket.socket], ours: list[socket.socket]) -> None:
    """Sends something on each connection, long after the others were last heard of."""
    for caller, own in zip(callers, ours, strict=True):
        caller.sendall(b"x")
        assert own.recv(1) == b"x"


def quiet_for_longer(ours: list[socket.socket]) -> bool:
    """Whether the machine can tell that nothing was heard of these for a while."""
    times = [own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[52:56] for own in ours]
    return min(int.from_bytes(each, "little") for each in times) >= 50


@pytest.mark.parametrize(("of_address", "maximum"), [(20, 1000), (0, 28)])
def test_the_quietest_connections_beyond_the_limit_are_closed(
    of_address: int, maximum: int
) -> None:
    metrics = Metrics()
    with held(60) as (port, callers, ours):
        eventually(lambda: quiet_for_longer(ours))
        active = [callers[number] for number in range(0, 60, 6)]
        speak(active, [ours[number] for number in range(0, 60, 6)])
        connections = Connections(
            port, lambda _: True, metrics, maximum=maximum, of_address=of_address
        )
        connections.close_excess()
        most = of_address or maximum * 3 // 4
        eventually(lambda: sum(map(is_closed, callers)) == 60 - most)
        assert not any(map(is_closed, active)), "who spoke a moment ago goes on"
        connections.close_excess()
        assert sum(map(is_closed, callers)) == 60 - most
    reason = "address" if of_address else "total"
    sample = f'mersalg_connections_closed_total{{reason="{reason}"}}'
    assert f"{sample} {60 - most}.0" in metrics.exposition().decode()


def test_named_proxies_and_other_ports_are_left_alone() -> None:
    with held(60) as (port, callers, _):
        Connections(port, lambda _: False, Metrics(), maximum=1000, of_address=20).close_excess()
        Connections(port + 1, lambda _: True, Metrics(), maximum=30, of_address=20).close_excess()
        assert not any(map(is_closed, callers))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    publish_model(tmp_path / "models")
    return tmp_path


def hold(stack: ExitStack, server: Server, n: int) -> list[socket.socket]:
    """Opens connections of which half say nothing, and half begin a request and go no further."""
    where = urlsplit(server.url)
    callers = []
    for number in range(n):
        caller = socket.create_connection((where.hostname, where.port or 80), WAIT_SECONDS)
        callers.append(stack.enter_context(caller))
        if number % 2:
            caller.sendall(HALF)
    return callers


def others_are_answered(server: Server) -> None:
    for number in range(30):
        with server.client() as client:  # each by a connection of its own
            answer = client.post("/v1/suggestions", json={"checkout_id": f"k{number}"})
            assert answer.raise_for_status().json()["tracking"] == "recorded"


def test_five_thousand_idle_connections_leave_others_answered(folder: Path) -> None:
    with more_files(5_000) as n, running_server(folder) as server, ExitStack() as stack:
        callers = hold(stack, server, n)
        others_are_answered(server)
        assert not any(map(is_closed, callers[-100:]))


def test_more_idle_connections_than_are_accepted_leave_others_answered(folder: Path) -> None:
    environment = {"MERSALG_CONNECTIONS": "200", "MERSALG_IDLE_SECONDS": "600"}
    with running_server(folder, environment=environment) as server, ExitStack() as stack:
        hold(stack, server, 600)
        others_are_answered(server)
        with server.client() as client:
            assert metric(client, "mersalg_connections_closed_total", reason="total") >= 400
        assert "quiet connections were closed" in server.said


def test_a_connection_has_so_long_for_each_head(folder: Path) -> None:
    with running_server(folder, environment={"MERSALG_IDLE_SECONDS": "0.5"}) as server:
        where = urlsplit(server.url)
        for begun in (b"", HALF, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            caller = socket.create_connection((where.hostname, where.port or 80), WAIT_SECONDS)
            with caller:
                caller.sendall(begun)
                answer = b""
                while part := caller.recv(65_536):
                    answer += part
            assert answer.count(b"HTTP/1.1 200") == (begun[:3] == b"GET")
        assert httpx.get(f"{server.url}/healthz").status_code == 200
