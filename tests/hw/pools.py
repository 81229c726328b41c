"""What the tests of pooling units share: pools of all sorts, and what every one must do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from bench import S1, S2, S4, S8, U1, U2, U4, U8, Record
from maps import check_network, map_frames, requantize_of

from sterna.hw.graph.lower import lower
from sterna.hw.graph.stream import StreamType, whole
from sterna.hw.parts.tables import code_shape
from sterna.hw.units.pool.plan import PoolPlan, plan_pool
from sterna.net import ActivationType, MaxPool2d, Network, SumPool2d

STALLS = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.6), (0.3, 0.4)]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A pool: ``kind`` is max, sum (not requantized), or the requantization of sums."""

    shape: tuple[int, int, int]
    kernel: tuple[int, int] = (2, 2)
    stride: tuple[int, int] = (2, 2)
    padding: tuple[int, int] = (0, 0)
    kind: str = "max"
    code: ActivationType = U4
    elements: int = 1


def network_of(case: Case, rng: np.random.Generator) -> Network:
    """A network of one pool."""
    node: MaxPool2d | SumPool2d
    if case.kind == "max":
        node = MaxPool2d(name="pool", kernel=case.kernel, stride=case.stride, padding=case.padding)
    else:
        taps = np.ones((case.shape[0], case.kernel[0] * case.kernel[1]), np.int64)
        requantize = requantize_of(case.kind, taps, case.code, rng)
        node = SumPool2d(
            name="pool", kernel=case.kernel, stride=case.stride, padding=case.padding, requantize=requantize
        )
    return Network(input_shape=case.shape, input_type=case.code, input_scale=1.0, nodes=[node])


def plan_of(network: Network, case: Case, *, stream: StreamType | None = None) -> PoolPlan:
    """Its plan."""
    (layer,) = lower(network)
    return plan_pool(layer, stream=stream or whole(case.shape, code_shape(case.code), elements=case.elements))


def frames_of(case: Case, count: int, rng: np.random.Generator) -> np.ndarray:
    """Of the case's input."""
    return map_frames(case.code, case.shape, count, rng)


def check(case: Case, *, seed: int, stalls: tuple[float, float], frames: int = 5) -> Record:
    """A case under some stalls."""
    rng = np.random.default_rng(seed)
    network = network_of(case, rng)
    plan, codes = plan_of(network, case), frames_of(case, frames, rng)
    return check_network(plan, network, codes, stalls=stalls, seed=seed)


TYPES = [U1, S1, U2, S2, U4, S4, U8, S8, ActivationType(3, True), ActivationType(5, False)]
KINDS = ("max", "sum", "shift", "search", "line")


def drawn(seed: int) -> Case:
    """A case of all sorts whose windows do not overlap, without padding."""
    rng = np.random.default_rng([seed, 5])
    elements = int(rng.choice([1, 2, 4, 8, 3, 6]))
    strides = [k for k in range(1, 9) if elements % k == 0 or k % elements == 0]
    stride = int(rng.integers(1, 5)), int(rng.choice(strides))
    kernel = int(rng.integers(1, stride[0] + 1)), int(rng.integers(1, stride[1] + 1))
    if rng.random() < 0.4:
        kernel = stride
    return Case(
        shape=(int(rng.integers(1, 5)), kernel[0] + int(rng.integers(6)), kernel[1] + int(rng.integers(9))),
        kernel=kernel,
        stride=stride,
        kind=KINDS[int(rng.integers(5))],
        code=TYPES[int(rng.integers(len(TYPES)))],
        elements=elements,
    )


def drawn_over(seed: int) -> Case:
    """A case of all sorts: kernels of 1 to 7 and of the whole map, any stride, most often with padding."""
    rng = np.random.default_rng([seed, 6])
    size = int(rng.integers(1, 12)), int(rng.integers(1, 14))
    kernel, padding = [], []
    for side in size:
        margin = int(rng.integers(0, 4)) * bool(rng.integers(4))
        extent = int(rng.integers(max(2 * margin, 1), 8)) if rng.integers(6) else side
        kernel.append(min(extent, side + extent // 2 * 2))
        padding.append(max(min(margin, extent // 2), -((side - extent) // 2)))
    stride = [int(rng.choice([1, 1, 2, 2, 3, 4])) for _ in size]
    elements = [k for k in (1, 1, 2, 3, 4, 6, 8, 16, size[1]) if k % stride[1] == 0 or stride[1] % k == 0]
    return Case(
        shape=(int(rng.integers(1, 5)), *size),
        kernel=(kernel[0], kernel[1]),
        stride=(stride[0], stride[1]),
        padding=(padding[0], padding[1]),
        kind=KINDS[int(rng.integers(5))],
        code=TYPES[int(rng.integers(len(TYPES)))],
        elements=int(rng.choice(elements)),
    )
