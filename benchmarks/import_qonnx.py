"""Imports ONNX files of a folder, and compares hidden codes and scores with what the qonnx package computes.

    python benchmarks/import_qonnx.py [FOLDER] [--inputs 1000] [--narrow-input] [--unequal-scores] [--output FILE.json]

FOLDER is $STERNA_DATA/qonnx where it is left out.
Every file is one line of the table: imported with how many differences, or refused with the first reason. Needs the
package qonnx (the extra `dev` has it).
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from common import parser, write
from onnx import numpy_helper

from sterna.imports import ImportOptions, RefusedError
from sterna.imports.fold import Folded, fold
from sterna.imports.graph import read_graph
from sterna.imports.preflight import Preflight
from sterna.net.errors import SternaError
from sterna.net.nodes import INPUT
from sterna.sim.golden import GoldenModel


def execute(path: Path, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor of a model for a batch of inputs, as qonnx computes it.

    That is node by node: QONNX's operators in qonnx, ONNX's own in ONNX Runtime, whose optimizations would change
    roundings and are off.
    """
    model = onnx.load(path)
    versions = {entry.domain: entry.version for entry in model.opset_import}
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    (name,) = (entry.name for entry in model.graph.input if entry.name not in tensors)
    tensors[name] = inputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that qonnx imports
        from qonnx.core.execute_custom_node import execute_custom_node
        from qonnx.custom_op.registry import is_custom_op

        for node in model.graph.node:
            if is_custom_op(node.domain, node.op_type):
                execute_custom_node(node, tensors, model.graph, onnx_opset_version=versions.get(node.domain, 1))
            else:
                tensors |= _run(node, tensors, versions[""], batch=len(inputs))
    return tensors


def _run(node: onnx.NodeProto, tensors: dict[str, np.ndarray], version: int, batch: int) -> dict[str, np.ndarray]:
    """The outputs of one of ONNX's own nodes."""
    import onnxruntime

    feeds = {name: np.asarray(tensors[name]) for name in node.input if name}
    if node.op_type == "Reshape" and feeds[node.input[1]][:1] == 1:  # the model's own batch
        feeds[node.input[1]] = np.array([batch, *feeds[node.input[1]][1:]])
    types = {name: onnx.helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in feeds.items()}
    given = [onnx.helper.make_tensor_value_info(name, types[name], feeds[name].shape) for name in feeds]
    graph = onnx.helper.make_graph([node], "one", given, [onnx.ValueInfoProto(name=name) for name in node.output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", version)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        onnx.shape_inference.infer_shapes(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip(node.output, session.run(list(node.output), feeds), strict=True))


def differences(folded: Folded, tensors: dict[str, np.ndarray], inputs: np.ndarray) -> tuple[int, int]:
    """Codes and scores that differ, and how many were compared."""
    codes = folded.rule.quantize(inputs)
    trace = {INPUT: codes, **GoldenModel(folded.network).trace(codes)}
    different = compared = 0
    for probe in folded.probes:
        ours = trace[probe.node]
        theirs = probe.to_ours(tensors[probe.tensor], ours.shape[1:])
        scale, offset = (part.reshape(1, -1, *[1] * (theirs.ndim - 2)) for part in (probe.scale, probe.offset))
        values = (theirs.astype(np.float64) - offset) / scale
        different += int(((np.rint(values) != ours) | (np.abs(values - np.rint(values)) > 0.01)).sum())
        compared += ours.size
    return different, compared


def measure(path: Path, options: ImportOptions) -> dict[str, Any]:
    """One file's line."""
    preflight, start = Preflight(), time.perf_counter()
    try:
        graph = read_graph(path)
        folded = fold(graph, options, preflight)
    except RefusedError:
        return {"file": path.name, "refused": [f"{row.node}: {row.detail}" for row in preflight.refused]}
    except SternaError as error:
        return {"file": path.name, "refused": [str(error)]}
    seconds = time.perf_counter() - start
    inputs = folded.rule.draw(np.random.default_rng(options.seed), options.samples)
    different, compared = differences(folded, execute(path, inputs), inputs)
    return {
        "file": path.name,
        "network_digest": folded.network.digest,
        "weights": folded.network.weight_count,
        "seconds": round(seconds, 3),
        "inputs": options.samples,
        "compared": compared,
        "different": different,
        "ties": sum(layer["ties"] for layer in preflight.layers.values()),
    }


def main() -> int:
    """Prints a line a file, and writes JSON; exit status 1 where a code or score differs."""
    command = parser(__doc__)
    command.add_argument("folder", type=Path, nargs="?")
    command.add_argument("--inputs", type=int, default=1000)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--narrow-input", action="store_true")
    command.add_argument("--unequal-scores", action="store_true")
    arguments = command.parse_args()
    options = ImportOptions(
        samples=arguments.inputs,
        seed=arguments.seed,
        narrow_input=arguments.narrow_input,
        unequal_scores=arguments.unequal_scores,
    )
    folder = arguments.folder or Path(os.environ.get("STERNA_DATA", ".")) / "qonnx"
    files = [measure(path, options) for path in sorted(folder.glob("*.onnx"))]
    if not files:
        command.error(f"no file in {folder} ends in .onnx; name a folder, or set STERNA_DATA")
    for file in files:
        if "refused" in file:
            print(f"{file['file']}: refused: {'; '.join(file['refused'])}")
        else:
            print(
                f"{file['file']}: {file['different']} of {file['compared']:,} codes and scores different, "
                f"{file['ties']} ties, {file['weights']:,} weights in {file['seconds']} s"
            )
    write(arguments.output, ("qonnx", "onnx", "numpy"), {"seed": arguments.seed, "files": files})
    return int(any(file.get("different", 0) for file in files))


if __name__ == "__main__":
    sys.exit(main())
