"""Units that the resource model of `--fit` is fitted to: layers of all sizes, drawn with a fixed seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import signed
from common import PLAIN

from sterna.hw import AcceleratorConfig
from sterna.hw.graph.lower import lower
from sterna.hw.graph.stream import StreamType, whole
from sterna.hw.parts.tables import code_shape
from sterna.hw.units import classifier
from sterna.hw.units.protocol import Delivery, Unit
from sterna.net import (
    ActivationType,
    Conv2d,
    Linear,
    MaxPool2d,
    Network,
    Node,
    Requantization,
    ShiftRound,
    SumPool2d,
    Thresholds,
)

SEED = 0


@dataclass(frozen=True)
class Drawn:
    """A unit, and what was drawn."""

    name: str
    unit: Unit
    framed: bool


def drawn(counts: dict[str, int]) -> Iterator[Drawn]:
    """So many units of each kind, in turn; each has a seed of its own."""
    kinds = {
        "dense": _dense,
        "conv": _conv,
        "pool": _pool,
        "argmax": _argmax,
        "bitserial": _bitserial,
        "unrolled": _unrolled,
        "pixels": _pixels,
        "pixel pool": _pixel_pool,
        "tree": _tree,
    }
    for k in range(max(counts.values())):
        for number, (kind, draw) in enumerate(kinds.items()):
            if k < counts.get(kind, 0):
                rng = np.random.default_rng([SEED, number, k])
                unit = draw(rng)
                yield Drawn(f"{kind}-{k}", unit, bool(unit.nodes and rng.integers(2)))


def _dense(rng: np.random.Generator) -> Unit:
    rows, columns = _log(rng, 8, 256), _log(rng, 32, 1024)
    code = _code(rng)
    node = Linear(name="fc", weights=_weights(rng, (rows, columns)), requantize=_requantize(rng, rows, columns, code))
    lanes = min(_log(rng, 1, 17), rows)
    return _planned(rng, (columns,), code, node, lanes=lanes, elements=1 << int(rng.integers(3)))


def _conv(rng: np.random.Generator) -> Unit:
    channels, inputs, side = _log(rng, 4, 65), _log(rng, 1, 33), _log(rng, 6, 33)
    kernel, stride = int(rng.choice([1, 3, 3, 5])), int(rng.choice([1, 1, 1, 2]))
    code = _code(rng)
    node = Conv2d(
        name="conv",
        weights=_weights(rng, (channels, inputs, kernel, kernel)),
        stride=(stride, stride),
        padding=(kernel // 2, kernel // 2) if rng.integers(2) else (0, 0),
        requantize=_requantize(rng, channels, inputs * kernel * kernel, code),
    )
    columns = (side + 2 * node.padding[1] - kernel) // stride + 1
    groups = min(int(rng.integers(1, 5)), channels)
    elements = int(rng.choice([e for e in (1, 2, 4) if side % e == 0]))
    return _planned(rng, (inputs, side, side), code, node, lanes=groups * columns, elements=elements)


def _pool(rng: np.random.Generator) -> Unit:
    channels, size = _log(rng, 1, 129), int(rng.choice([2, 2, 3]))
    side, code = size * _log(rng, 2, 13), _code(rng)
    node: Node
    if rng.integers(3):
        node = MaxPool2d(name="pool", kernel=(size, size))
    else:
        requantize = _requantize(rng, channels, size * size, code) if rng.integers(2) else None
        node = SumPool2d(name="pool", kernel=(size, size), requantize=requantize)
    elements = int(rng.choice([1, size, 2 * size]))
    while side % elements or elements & (elements - 1):
        elements //= 2
    return _planned(rng, (channels, side, side), code, node, lanes=0, elements=max(elements, 1))


def _argmax(rng: np.random.Generator) -> Unit:
    return classifier(whole((_log(rng, 2, 129),), signed(int(rng.integers(4, 17)))))


def _bitserial(rng: np.random.Generator) -> Unit:
    return _summing(rng, "bitserial")


def _unrolled(rng: np.random.Generator) -> Unit:
    return _summing(rng, "unrolled")


def _summing(rng: np.random.Generator, kind: str) -> Unit:
    """An adder for every nonzero weight."""
    rows, columns = _log(rng, 8, 129), _log(rng, 16, 513)
    code = _code(rng)
    node = Linear(name="fc", weights=_weights(rng, (rows, columns)), requantize=_requantize(rng, rows, columns, code))
    elements = int(rng.choice([columns, 1 << int(rng.integers(columns.bit_length()))]))
    lanes = int(rng.choice([1, 1, 2, 4])) if kind == "bitserial" else 1
    return _planned(rng, (columns,), code, node, lanes=lanes, elements=elements, units={"fc": kind})


def _pixels(rng: np.random.Generator) -> Unit:
    """A convolution with an adder for every nonzero weight."""
    rows, inputs, side = _log(rng, 4, 33), int(rng.choice([1, 1, 2, 6])), _log(rng, 8, 33)
    kernel, code, kind = int(rng.choice([3, 5])), _code(rng), str(rng.choice(["bitserial", "unrolled"]))
    node = Conv2d(
        name="conv",
        weights=_weights(rng, (rows, inputs, kernel, kernel), few=True),
        padding=(kernel // 2, kernel // 2) if rng.integers(2) else (0, 0),
        requantize=_requantize(rng, rows, inputs * kernel * kernel, code),
    )
    lanes = int(rng.choice([1, 1, 2, 4])) if kind == "bitserial" else 1
    return _by_pixel(node, (inputs, side, side), code, lanes=lanes, units={"conv": kind})


def _pixel_pool(rng: np.random.Generator) -> Unit:
    size = int(rng.choice([2, 2, 3]))
    shape = (_log(rng, 2, 65), *(size * _log(rng, 2, 9),) * 2)
    return _by_pixel(MaxPool2d(name="pool", kernel=(size, size)), shape, _code(rng))


def _by_pixel(
    node: Node,
    shape: tuple[int, int, int],
    code: ActivationType,
    *,
    lanes: int = 0,
    units: Mapping[str, str] | None = None,
) -> Unit:
    """Of a map that comes pixel by pixel, all channels in a beat."""
    network = Network(input_shape=shape, input_type=code, input_scale=1.0, nodes=[node])
    (layer,) = lower(network, units)
    channels = shape[0]
    stream = StreamType(
        element=code_shape(code),
        shape=shape,
        order=tuple(range(channels)),
        elements=channels,
        by_pixel=channels > 1,
    )
    options = AcceleratorConfig().unit_options(node.name)
    return layer.kind.plan(layer, inputs=[stream], lanes=lanes, delivery=Delivery(), options=options)


def _tree(rng: np.random.Generator) -> Unit:
    count = _log(rng, 3, 65)
    return classifier(whole((count,), signed(int(rng.integers(4, 17))), elements=count))


def _planned(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    code: ActivationType,
    node: Node,
    *,
    lanes: int,
    elements: int,
    units: Mapping[str, str] | None = None,
) -> Unit:
    network = Network(input_shape=shape, input_type=code, input_scale=1.0, nodes=[node])
    (layer,) = lower(network, units)
    stream = whole(shape, code_shape(code), elements=elements)
    options = AcceleratorConfig(escape_price=int(rng.choice([0, 384, PLAIN]))).unit_options(node.name)
    # with cycles to spare, a convolution has one requantizer; without, as many as keep the pace
    cycles = 1 << 30 if rng.integers(2) else None
    return layer.kind.plan(layer, inputs=[stream], lanes=lanes, delivery=Delivery(), options=options, cycles=cycles)


def _log(rng: np.random.Generator, low: int, high: int) -> int:
    """From ``low`` to ``high - 1``, small ones more often."""
    return int(np.exp(rng.uniform(np.log(low), np.log(high))))


def _code(rng: np.random.Generator) -> ActivationType:
    width = int(rng.choice([1, 2, 4, 4, 8]))
    return ActivationType(width=width, signed=bool(rng.integers(4) == 0))


def _weights(rng: np.random.Generator, shape: tuple[int, ...], *, few: bool = False) -> np.ndarray:
    """Mostly zeros; of ``few``, so many are not that all inputs are read."""
    zeros = rng.choice([0.5, 0.7] if few else [0.8, 0.9, 0.95, 0.98])
    return ((rng.random(shape) > zeros) * rng.choice([-1, 1], shape)).astype(np.int8)


def _requantize(rng: np.random.Generator, rows: int, columns: int, code: ActivationType) -> Requantization | None:
    """Scores, a shift (one for all, or each its own), thresholds that lie on a line, or that do not."""
    output = ActivationType(width=int(rng.choice([2, 4, 4, 8])), signed=bool(rng.integers(4) == 0))
    spread = max(int(code.max * np.sqrt(columns) / 2), 2)
    kind = rng.choice(["scores", "shift", "shifts", "line", "levels"])
    if kind == "scores":
        return None
    if kind == "shift":
        return ShiftRound(output=output, bias=rng.integers(-spread, spread, rows), shift=int(rng.integers(1, 5)))
    if kind == "shifts":
        return ShiftRound(output=output, bias=rng.integers(-spread, spread, rows), shift=rng.integers(1, 5, rows))
    if kind == "line" or output.width == 8:
        start, step = rng.uniform(-spread, spread, (rows, 1)), rng.uniform(spread / 16, spread / 4, (rows, 1))
        levels = np.ceil(start + step * np.arange((1 << output.width) - 1))
    else:
        levels = np.sort(rng.integers(-spread, spread, (rows, (1 << output.width) - 1)), axis=1)
    return Thresholds(output=output, levels=levels.astype(np.int64))


def figures(unit: Unit) -> dict[str, Any]:
    """What is known of a unit before any tool runs."""
    return {
        "lanes": unit.lanes,
        "steps": unit.work.steps,
        "parts": dict(unit.logic),
        "memories": [
            [memory.depth, memory.width, memory.writable, memory.block, memory.at_once] for memory in unit.memories
        ],
    }
