"""The second host, in C, on the same simulated board: it was written from docs/protocol.md alone."""

from __future__ import annotations

import ctypes
import os
import select
import subprocess
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_board import small_network

from sterna.boards.host import Board
from sterna.net import Network
from sterna.sim.golden import GoldenModel

SOURCE = Path(__file__).parents[2] / "examples" / "host" / "sterna_host.c"
GET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
PUT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint8)


class Host(ctypes.Structure):
    """`struct sterna_host`."""

    _fields_ = (
        ("get", GET),
        ("put", PUT),
        ("context", ctypes.c_void_p),
        ("registers", ctypes.c_uint8 * 96),
        ("frame_bytes", ctypes.c_uint32),
        ("result_bytes", ctypes.c_uint32),
        ("session", ctypes.c_uint8),
        ("opened", ctypes.c_uint8),
        ("count", ctypes.c_uint16),
        ("line", ctypes.c_uint8 * 254),
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The host, compiled with all warnings as errors."""
    made = tmp_path_factory.mktemp("host") / "host.so"
    flags = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O2", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", str(made), str(SOURCE)], check=True)
    return ctypes.CDLL(str(made))


@contextmanager
def connected_host(port: str, patience: list[float]) -> Iterator[Host]:
    """A host on a terminal; ``patience`` are the seconds of silence, the first before anything is sent."""
    line = os.open(port, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)
    left = bytearray()

    def get(context: Any) -> int:
        if not left:
            if not select.select([line], [], [], patience[0])[0]:
                return -1
            left.extend(os.read(line, 256))
        return left.pop(0)

    def put(context: Any, octet: int) -> None:
        if len(patience) > 1:
            del patience[0]
        os.write(line, bytes((octet,)))

    try:
        yield Host(get=GET(get), put=PUT(put))
    finally:
        os.close(line)


def predict(library: ctypes.CDLL, host: Host, frames: np.ndarray, *, tries: int = 1) -> np.ndarray:
    """int64, (frames, 3): what the host in C gives, at the last of so many tries."""
    sent = frames.astype(np.int8).tobytes()
    results = ctypes.create_string_buffer(len(frames) * host.result_bytes)
    assert any(library.sterna_predict(ctypes.byref(host), sent, len(frames), results) == 0 for _ in range(tries))
    kind = {3: np.int8, 6: np.int16}[host.result_bytes]
    return np.frombuffer(results.raw, kind).reshape(len(frames), 3).astype(np.int64)


def test_results_are_the_golden_models(
    library: ctypes.CDLL, board: Callable[..., Any], network: Network, frames: np.ndarray
) -> None:
    golden = GoldenModel(network).predict(frames)
    patience = [0.2, 60.0]
    with board() as simulation, connected_host(simulation.port, patience) as host:
        assert library.sterna_meet(ctypes.byref(host)) == 0
        assert bytes(host.registers)[16:48].hex() == network.digest
        assert host.frame_bytes == 8
        assert (predict(library, host, frames) == golden).all()
        assert (predict(library, host, frames[:1]) == golden[:1]).all()
        patience[0] = 1.5
        simulation.inject(flipped=0.001, dropped=0.001, doubled=0.001, reset=0.0002)
        faults = 0
        while faults < 3:
            assert (predict(library, host, frames, tries=8) == golden).all()
            counts = simulation.faults()
            faults = sum(counts[kind] for kind in ("flipped", "dropped", "doubled", "reset"))


def test_a_network_is_loaded(
    library: ctypes.CDLL, board: Callable[..., Any], network: Network, frames: np.ndarray
) -> None:
    other = small_network(2)
    with board(loadable=3.0) as simulation:
        with Board(simulation.port, timeout=60.0) as connected:
            content = connected.compile(other)
        patience = [0.2, 60.0]
        with connected_host(simulation.port, patience) as host:
            assert library.sterna_meet(ctypes.byref(host)) == 0
            assert (predict(library, host, frames) == GoldenModel(network).predict(frames)).all()
            assert library.sterna_load(ctypes.byref(host), content, len(content) - 1) == -4
            assert library.sterna_load(ctypes.byref(host), content, len(content)) == 0
            assert (predict(library, host, frames) == GoldenModel(other).predict(frames)).all()
            patience[0] = 1.5
            simulation.inject(flipped=0.001, dropped=0.001, doubled=0.001, reset=0.0002)
            faults = 0
            while faults < 3:
                assert library.sterna_load(ctypes.byref(host), content, len(content)) == 0
                counts = simulation.faults()
                faults = sum(counts[kind] for kind in ("flipped", "dropped", "doubled", "reset"))
            simulation.inject()
            assert (predict(library, host, frames, tries=8) == GoldenModel(other).predict(frames)).all()


def test_silence_is_said(library: ctypes.CDLL) -> None:
    terminal, other = os.openpty()
    try:
        with connected_host(os.ttyname(other), [0.01]) as host:
            assert library.sterna_meet(ctypes.byref(host)) == -1
    finally:
        os.close(terminal)
        os.close(other)
