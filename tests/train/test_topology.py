"""The notation of topologies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sterna.net.errors import InvalidValueError
from sterna.train.topology import AveragePool, Conv, Dense, Layer, MaxPool, Residual, parse_topology


def write(layer: Layer) -> str:
    match layer:
        case Dense():
            return f"{layer.outputs}"
        case Conv():
            return f"{layer.outputs}C{layer.kernel}s{layer.stride}p{layer.padding}"
        case MaxPool():
            return f"MP{layer.kernel}"
        case AveragePool():
            return f"AP{layer.kernel}"
        case Residual():
            return f"R{layer.outputs}s{layer.stride}"


SIZES = st.integers(1, 2000)
ON_MAPS = st.one_of(
    st.builds(Conv, outputs=SIZES, kernel=SIZES, stride=SIZES, padding=st.integers(0, 9)),
    st.builds(MaxPool, kernel=SIZES),
    st.builds(AveragePool, kernel=SIZES),
    st.builds(Residual, outputs=SIZES, stride=SIZES),
)


@given(st.lists(ON_MAPS, max_size=5), st.lists(st.builds(Dense, outputs=SIZES), max_size=3))
def test_what_is_written_is_read(maps: list[Layer], dense: list[Layer]) -> None:
    layers = [*maps, *dense]
    assert parse_topology("-".join(write(layer) for layer in layers)) == tuple(layers)


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("", ()),
        ("  ", ()),
        ("256", (Dense(outputs=256),)),
        ("20C5", (Conv(outputs=20, kernel=5, stride=1, padding=0),)),
        ("64C3s2", (Conv(outputs=64, kernel=3, stride=2, padding=0),)),
        ("64C3p1", (Conv(outputs=64, kernel=3, stride=1, padding=1),)),
        ("64C3s2p1", (Conv(outputs=64, kernel=3, stride=2, padding=1),)),
        ("MP2", (MaxPool(kernel=2),)),
        ("AP8", (AveragePool(kernel=8),)),
        ("R16", (Residual(outputs=16, stride=1),)),
        ("R32s2", (Residual(outputs=32, stride=2),)),
        ("4C3p0 - MP2 - 500", (Conv(outputs=4, kernel=3), MaxPool(kernel=2), Dense(outputs=500))),
    ],
)
def test_forms(text: str, layers: tuple[Layer, ...]) -> None:
    assert parse_topology(text) == layers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (part, f"topology: {wrong!r} is none of 256, 20C5, 64C3s2p1, MP2, AP8, R16, R32s2")
        for part, wrong in [
            ("20c5", "20c5"),
            ("C5", "C5"),
            ("20C", "20C"),
            ("20C5p1s2", "20C5p1s2"),
            ("MP", "MP"),
            ("R", "R"),
            ("20-", ""),
            ("20--10", ""),
            ("-20", ""),
            ("16,8", "16,8"),
            ("1.5", "1.5"),
        ]
    ]
    + [
        ("0", "topology: outputs of 0 must be positive"),
        ("8-0C3", "topology: outputs of 0C3 must be positive"),
        ("8C0", "topology: kernel of 8C0 must be positive"),
        ("8C3s0", "topology: stride of 8C3s0 must be positive"),
        ("MP0", "topology: kernel of MP0 must be positive"),
        ("AP0", "topology: kernel of AP0 must be positive"),
        ("R0", "topology: outputs of R0 must be positive"),
        ("R8s0", "topology: stride of R8s0 must be positive"),
        ("16-8C3", "topology: 8C3 cannot follow a fully connected layer"),
        ("16-MP2", "topology: MP2 cannot follow a fully connected layer"),
        ("8C3-16-R8", "topology: R8 cannot follow a fully connected layer"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_topology(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9" * 5000, "outputs of 999999999999...9999999999999 must be at most 65536"),
        ("65537", "outputs of 65537 must be at most 65536"),
        ("-".join(["4"] * 1001), "at most 1000 layers, not 1001"),
        ("x" * 5000, "'xxxxxxxxxxxx...xxxxxxxxxxxxx' is none of 256, 20C5, 64C3s2p1, MP2, AP8, R16, R32s2"),
    ],
    ids=["digits", "width", "layers", "letters"],
)
def test_what_is_too_large_is_refused_in_a_short_line(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_topology(text)
    assert str(caught.value) == f"topology: {message}"


def test_zeros_in_front_count_for_nothing() -> None:
    assert parse_topology("0" * 5000 + "65536-0008") == (Dense(outputs=65536), Dense(outputs=8))
    assert parse_topology("-".join(["4"] * 1000)) == (Dense(outputs=4),) * 1000
