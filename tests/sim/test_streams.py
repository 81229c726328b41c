"""Frames to beats and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sterna.sim import streams
from sterna.sim.errors import SimulationError
from sterna.sim.manifest import StreamPort


def port(shape: tuple[int, ...], *, width: int = 4, signed: bool = False, elements: int = 1) -> StreamPort:
    rows, run = (shape[0] * shape[1], shape[2]) if len(shape) == 3 else (1, shape[0])
    size = -(-width // 8)
    return StreamPort(
        prefix="s_axis",
        shape=shape,
        element_width=width,
        signed=signed,
        bytes_per_element=size,
        elements_per_beat=elements,
        beats=rows * -(-run // elements),
        tdata_width=8 * size * elements,
    )


def test_vector() -> None:
    beats = streams.pack(np.array([[1, 2, 3]]), port((3,), elements=2))
    assert beats.tolist() == [[[1, 2], [3, 0]]]
    assert streams.to_text(beats) == b"0201 0\n0003 1\n"


def test_feature_map_runs_by_row_channel_pixel() -> None:
    frame = np.array([[[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]])
    beats = streams.pack(frame, port((2, 2, 3), elements=2))
    assert beats.reshape(-1, 2).tolist() == [[1, 2], [3, 0], [7, 8], [9, 0], [4, 5], [6, 0], [10, 11], [12, 0]]


def test_sign_extension() -> None:
    narrow, wide = port((2,), width=4, signed=True), port((2,), width=12, signed=True)
    assert streams.pack(np.array([[-8, 7]]), narrow).tolist() == [[[0xF8], [0x07]]]
    assert streams.pack(np.array([[-2048, 2047]]), wide).tolist() == [[[0x00, 0xF8], [0xFF, 0x07]]]
    assert streams.to_text(streams.pack(np.array([[-2]]), port((1,), width=12, signed=True))) == b"fffe 1\n"


@given(st.data())
def test_round_trip(data: st.DataObject) -> None:
    shape = data.draw(st.one_of(st.tuples(st.integers(1, 9)), st.tuples(*[st.integers(1, 5)] * 3)))
    width, signed = data.draw(st.integers(1, 40)), data.draw(st.booleans())
    stream = port(shape, width=width, signed=signed, elements=data.draw(st.integers(1, 6)))
    low = -(1 << (width - 1)) if signed else 0
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    frames = rng.integers(low, low + (1 << width), (data.draw(st.integers(1, 4)), *shape))
    beats = streams.pack(frames, stream)
    np.testing.assert_array_equal(streams.unpack(beats, stream), frames)
    text = b"".join(line.split()[0] + b"\n" for line in streams.to_text(beats).splitlines())
    octets = streams.from_text(text, width=stream.tdata_width, what="tdata")
    np.testing.assert_array_equal(octets.reshape(beats.shape), beats)


def test_unextended_element_is_an_error() -> None:
    with pytest.raises(SimulationError, match="frame 1: s_axis_tdata has an element 16 that is no zero-extended 4-bit"):
        streams.unpack(np.array([[[15]], [[16]]], dtype=np.uint8), port((1,)))
    with pytest.raises(SimulationError, match="an element 8 that is no sign-extended 4-bit value"):
        streams.unpack(np.array([[[8]]], dtype=np.uint8), port((1,), signed=True))


def test_unknown_bits_are_an_error() -> None:
    with pytest.raises(SimulationError, match="m_axis_tdata: value 1 has unknown bits: 0x"):
        streams.from_text(b"00\n0x\n", width=8, what="m_axis_tdata")
    with pytest.raises(SimulationError, match="has unknown bits: Z1"):
        streams.from_text(b"Z1\n", width=8, what="m_axis_tdata")


def test_other_width_is_an_error() -> None:
    with pytest.raises(SimulationError, match="unit: the simulator wrote values of another width than 5 bits"):
        streams.from_text(b"0ff\n", width=5, what="unit")


def test_odd_number_of_digits() -> None:
    assert streams.from_text(b"1ab\nF00\n", width=12, what="x").tolist() == [[0xAB, 0x01], [0x00, 0x0F]]


@pytest.mark.parametrize(("width", "signed", "expected"), [(4, False, 13), (4, True, -3), (3, True, -3), (2, False, 1)])
def test_integers(width: int, signed: bool, expected: int) -> None:
    assert streams.integers(np.array([[0x0D]], dtype=np.uint8), width=width, signed=signed).tolist() == [expected]


def test_integers_of_64_bits() -> None:
    octets = np.full((1, 8), 255, dtype=np.uint8)
    assert streams.integers(octets, width=64, signed=True).tolist() == [-1]
