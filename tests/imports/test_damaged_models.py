"""ONNX files damaged at random: imported and proved, or refused in one line, and never anything else."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import onnx_graphs
import pytest
from onnx import ModelProto, TensorProto

from sterna.imports import ImportOptions, import_model
from sterna.net.errors import SternaError

SECONDS = 2.0
BYTES = 1 << 30
OPTIONS = ImportOptions(samples=20, narrow_input=True, unequal_scores=True)
SIZES = (0, 1, -1, 2, 3, 7, 64, 65535, 2**20, 2**31 - 1, 2**31, 2**40, 2**62, -(2**63))
NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.3, 1e-30, 1e30, 3e38, float("inf"), float("-inf"), float("nan"))


def samples() -> list[ModelProto]:
    graphs = (onnx_graphs.perceptron, onnx_graphs.convolutional, onnx_graphs.binarized, onnx_graphs.roundabout)
    return [graph() for graph in graphs]


def damaged_bytes(proto: ModelProto, rng: random.Random) -> bytes:
    """A few bits flipped, or the file cut."""
    content = bytearray(proto.SerializeToString())
    if rng.random() < 0.3:
        return bytes(content[: rng.randrange(len(content))])
    for _ in range(rng.randint(1, 4)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def damaged_parts(proto: ModelProto, rng: random.Random) -> bytes:
    """One to three parts of the graph replaced by others of their kind."""
    changed = ModelProto.FromString(proto.SerializeToString())
    for _ in range(rng.choice((1, 1, 2, 3))):
        with suppress(IndexError):  # nothing is left of what was to be damaged
            rng.choice(DAMAGES)(changed, rng)
    return changed.SerializeToString()


def _dims(proto: ModelProto, rng: random.Random) -> None:
    tensor = rng.choice(proto.graph.initializer)
    if tensor.dims and rng.random() < 0.7:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(SIZES)
    else:
        tensor.dims.append(rng.choice(SIZES))


def _type(proto: ModelProto, rng: random.Random) -> None:
    rng.choice(proto.graph.initializer).data_type = rng.randrange(0, 25)


def _values(proto: ModelProto, rng: random.Random) -> None:
    tensor = rng.choice(proto.graph.initializer)
    if tensor.data_type == TensorProto.FLOAT:
        count = len(tensor.raw_data) // 4
        tensor.ClearField("raw_data")
        tensor.float_data.extend(rng.choice(NUMBERS) for _ in range(count))


def _remove(proto: ModelProto, rng: random.Random) -> None:
    field = rng.choice((proto.graph.initializer, proto.graph.node, proto.graph.output, proto.graph.input))
    if len(field):
        del field[rng.randrange(len(field))]


def _repeat(proto: ModelProto, rng: random.Random) -> None:
    field = rng.choice((proto.graph.initializer, proto.graph.node, proto.graph.output, proto.graph.input))
    if len(field):
        field.add().CopyFrom(rng.choice(field))


def _wire(proto: ModelProto, rng: random.Random) -> None:
    """Cycles, missing tensors, constants where values were and the other way round."""
    names = [name for node in proto.graph.node for name in (*node.input, *node.output)] + ["nowhere", ""]
    node = rng.choice(proto.graph.node)
    if len(node.input):
        node.input[rng.randrange(len(node.input))] = rng.choice(names)


def _operator(proto: ModelProto, rng: random.Random) -> None:
    from sterna.imports.operators import OPERATORS
    from sterna.imports.quantizers import QUANTIZERS

    rng.choice(proto.graph.node).op_type = rng.choice([*OPERATORS, *QUANTIZERS, "Loop", ""])


def _attribute(proto: ModelProto, rng: random.Random) -> None:
    attributes = [attribute for node in proto.graph.node for attribute in node.attribute]
    attribute = rng.choice(attributes)
    if attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(SIZES)
    elif rng.random() < 0.3:
        attribute.type = rng.randrange(0, 15)
    else:
        attribute.i, attribute.f, attribute.s = rng.choice(SIZES), rng.choice(NUMBERS), rng.randbytes(3)


def _input(proto: ModelProto, rng: random.Random) -> None:
    if proto.graph.input:
        shape = proto.graph.input[0].type.tensor_type.shape
        if shape.dim and rng.random() < 0.8:
            rng.choice(shape.dim).dim_value = rng.choice(SIZES)
        else:
            shape.dim.add().dim_value = rng.choice(SIZES)


DAMAGES: tuple[Callable[[ModelProto, random.Random], None], ...] = (
    _dims, _type, _values, _remove, _repeat, _wire, _operator, _attribute, _input
)  # fmt: skip


def check(path: Path, content: bytes) -> bool:
    """Whether the file was imported. It may be refused, in one line."""
    path.write_bytes(content)
    start = time.process_time()
    tracemalloc.start()
    try:
        import_model(path, options=OPTIONS)
        message = None
    except (SternaError, OSError) as error:
        message = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.process_time() - start < SECONDS
    assert peak < BYTES
    if message is not None:
        assert message
        assert "\n" not in message
        assert len(message) < 4000
    return message is None


def run(folder: Path, *, seed: int, files: int) -> None:
    rng, protos = random.Random(seed), samples()
    for _ in range(files):
        damage = rng.choice((damaged_bytes, damaged_parts))
        check(folder / "damaged.onnx", damage(rng.choice(protos), rng))


def test_undamaged_models_pass_the_check(tmp_path: Path) -> None:
    for proto in samples():
        assert check(tmp_path / "whole.onnx", proto.SerializeToString())


def test_damaged_models(tmp_path: Path) -> None:
    run(tmp_path, seed=0, files=200)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_many_damaged_models(tmp_path: Path, seed: int) -> None:
    """10,000 of them altogether."""
    run(tmp_path, seed=seed, files=1000)
