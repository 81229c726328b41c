"""Frames to stream beats and back: the element order and byte lanes of an accelerator's AXI4-Stream ports.

Feature maps run (H, C, W), vectors by index; a beat carries neighboring elements of one run, element 0 in the low
bytes; a partial last beat is padded with code 0. Beats are handed to the simulator as lines of hexadecimal digits,
which keeps an X an X.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sterna.net.errors import InvalidValueError
from sterna.sim.errors import SimulationError
from sterna.sim.manifest import Manifest, StreamPort

_DIGITS = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), dtype=np.uint8).reshape(256, 2)
_VALUES = np.full(256, 255, dtype=np.uint8)
_VALUES[np.frombuffer(b"0123456789abcdef", dtype=np.uint8)] = np.arange(16)
_VALUES[np.frombuffer(b"ABCDEF", dtype=np.uint8)] = np.arange(10, 16)


def pack(frames: np.ndarray, port: StreamPort) -> np.ndarray:
    """Frames as beats.

    Parameters
    ----------
    frames : int64, (frames, \\*port.shape)
        Codes in the network's own order.
    port : :class:`~sterna.sim.manifest.StreamPort`
        The stream.

    Returns
    -------
    beats : uint8, (frames, beats, bytes of tdata), lowest byte first
    """
    count = len(frames)
    runs = _stream_order(frames, port)
    padding = -runs.shape[2] % port.elements_per_beat
    runs = np.pad(runs, ((0, 0), (0, 0), (0, padding)))
    octets = np.ascontiguousarray(runs, dtype="<i8").view(np.uint8).reshape(-1, 8)[:, : port.bytes_per_element]
    return np.ascontiguousarray(octets).reshape(count, port.beats, port.beat_bytes)


def load_beats(manifest: Manifest, loads: Sequence[bytes]) -> np.ndarray:
    """What the load port is given, a load a frame: uint8, (loads, beats, bytes of tdata), lowest byte first.

    Raises
    ------
    :exc:`ValueError`
        If a load has not as many bytes as the memories.
    """
    port = manifest.load_port
    assert port is not None
    for load in loads:
        if len(load) != port.size:
            raise InvalidValueError(f"a load of {manifest.name} has {port.size:,} bytes, not {len(load):,}")
    return np.frombuffer(b"".join(loads), np.uint8).reshape(len(loads), manifest.load_beats, port.tdata_width // 8)


def unpack(beats: np.ndarray, port: StreamPort) -> np.ndarray:
    """Beats as frames: the inverse of :func:`pack`; padding is not looked at.

    Parameters
    ----------
    beats : uint8, (frames, beats, bytes of tdata), lowest byte first
        What left the accelerator.
    port : :class:`~sterna.sim.manifest.StreamPort`
        The stream.

    Returns
    -------
    frames : int64, (frames, \\*port.shape)

    Raises
    ------
    :exc:`~sterna.sim.errors.SimulationError`
        If an element is not sign- or zero-extended from its width to its bytes.
    """
    count = len(beats)
    octets = beats.reshape(-1, port.bytes_per_element)
    width = 8 * port.bytes_per_element
    values = integers(octets, width=width, signed=port.signed).reshape(count, port.rows, -1)
    values = values[:, :, : port.shape[-1] if port.shape else 1]
    low = -(1 << (port.element_width - 1)) if port.signed else 0
    high = low + (1 << port.element_width) - 1
    wrong = (values < low) | (values > high)
    if wrong.any():
        frame = int(np.argwhere(wrong)[0, 0])
        raise SimulationError(
            f"frame {frame}: {port.prefix}_tdata has an element {values[wrong][0]} that is no "
            f"{'sign' if port.signed else 'zero'}-extended {port.element_width}-bit value"
        )
    if len(port.shape) == 3:
        channels, height, columns = port.shape
        return values.reshape(count, height, channels, columns).transpose(0, 2, 1, 3)
    return values.reshape(count, *port.shape)


def _stream_order(frames: np.ndarray, port: StreamPort) -> np.ndarray:
    if len(port.shape) == 3:
        return frames.transpose(0, 2, 1, 3).reshape(len(frames), port.rows, port.shape[-1])
    return frames.reshape(len(frames), 1, -1)


def integers(octets: np.ndarray, *, width: int, signed: bool) -> np.ndarray:
    """Two's complement or unsigned integers of ``width`` bits, int64, from (n, bytes) uint8, lowest byte first."""
    wide = np.zeros((len(octets), 8), dtype=np.uint8)
    wide[:, : octets.shape[1]] = octets
    values = wide.view("<i8").reshape(-1)
    if width == 64:
        return values
    values = values & ((1 << width) - 1)
    return np.where(values >> (width - 1), values - (1 << width), values) if signed else values


def to_text(beats: np.ndarray) -> bytes:
    """Beats as lines ``<hexadecimal tdata> <tlast>``; the last beat of each frame has ``tlast``.

    Parameters
    ----------
    beats : uint8, (frames, beats, bytes of tdata), lowest byte first
        What :func:`pack` gives.
    """
    frames, count, octets = beats.shape
    text = np.empty((frames, count, 2 * octets + 3), dtype=np.uint8)
    text[:, :, : 2 * octets] = _DIGITS[beats[:, :, ::-1]].reshape(frames, count, 2 * octets)
    text[:, :, -3:] = np.frombuffer(b" 0\n", dtype=np.uint8)
    text[:, -1:, -2] = ord("1")
    return text.tobytes()


def from_text(text: bytes, *, width: int, what: str) -> np.ndarray:
    """Lines of hexadecimal digits, all of ``width`` bits, as bytes.

    Parameters
    ----------
    text : :class:`bytes`
        What the simulator wrote with ``%h``.
    width : :class:`int`
        Bits of a value.
    what : :class:`str`
        Its name in messages.

    Returns
    -------
    octets : uint8, (lines, ceil(width / 8)), lowest byte first

    Raises
    ------
    :exc:`~sterna.sim.errors.SimulationError`
        If a digit is X or Z, or a line has another length.
    """
    digits = -(-width // 4)
    if len(text) % (digits + 1):
        raise SimulationError(f"{what}: the simulator wrote values of another width than {width} bits")
    lines = np.frombuffer(text, dtype=np.uint8).reshape(-1, digits + 1)
    nibbles = _VALUES[lines[:, :digits]]
    wrong = (nibbles > 15).any(axis=1)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise SimulationError(f"{what}: value {first} has unknown bits: {lines[first, :digits].tobytes().decode()}")
    if digits % 2:
        nibbles = np.pad(nibbles, ((0, 0), (1, 0)))
    octets = nibbles[:, 0::2] << 4 | nibbles[:, 1::2]
    return octets[:, ::-1]
