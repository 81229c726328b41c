"""Frames as the bytes of an accelerator's beats, and results from bytes (docs/hardware.md)."""

from __future__ import annotations

import numpy as np

from sterna.boards.packets import Port

_WIDE = 8  # bytes of an int64


def to_bytes(frames: np.ndarray, port: Port) -> bytes:
    """Frames in the order of the stream.

    Parameters
    ----------
    frames : int64, (frames, \\*port.shape)
        Codes. Maps run row, channel, pixel; a partial last beat of a row or vector is padded with 0.
    port : Port

    Returns
    -------
    bytes
        ``port.frame_bytes`` a frame, the lowest byte of each element first.
    """
    count = len(frames)
    turned = frames.transpose(0, 2, 1, 3) if len(port.shape) == 3 else frames
    runs = turned.reshape(count * port.runs, port.shape[-1])
    padded = np.pad(runs, ((0, 0), (0, -port.shape[-1] % port.elements_per_beat)))
    octets = np.ascontiguousarray(padded, dtype="<i8").view(np.uint8).reshape(-1, _WIDE)
    return octets[:, : port.bytes_per_element].tobytes()


def from_bytes(content: bytes, port: Port) -> np.ndarray:
    """The inverse of :func:`to_bytes`: int64, (frames, \\*port.shape)."""
    octets = np.frombuffer(content, np.uint8).reshape(-1, port.bytes_per_element)
    wide = np.zeros((len(octets), _WIDE), np.uint8)
    wide[:, : port.bytes_per_element] = octets
    if port.signed:
        wide[:, port.bytes_per_element :] = np.where(octets[:, -1:] >= 128, 255, 0)
    count = len(content) // port.frame_bytes
    values = wide.view("<i8").reshape(count, port.runs, -1)[:, :, : port.shape[-1]].astype(np.int64)
    if len(port.shape) == 3:
        channels, height, width = port.shape
        return values.reshape(count, height, channels, width).transpose(0, 2, 1, 3)
    return values.reshape(count, *port.shape)
