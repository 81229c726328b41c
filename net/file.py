"""The network's file: ``.safetensors``, with a JSON header in its metadata (docs/file-format.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from sterna.net.describe import build_node, build_type, check_entry, describe_node, describe_type
from sterna.net.network import Network
from sterna.net.trits import pack_trits, unpack_trits

FORMAT_VERSION = 2  # what save writes; load reads all up to it
_KEY = "sterna"  # one metadata entry, since safetensors writes several in no fixed order
_WEIGHT_DTYPES = {1: "I8", 2: "U8"}  # by format version; all other tensors are I32
_WITH_WEIGHTS = ("linear", "conv2d")  # kinds of node


class FileFormatError(ValueError):
    """A file that holds no network of a version that is known; the message names file, node and field."""


def save(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network. The same network gives the same bytes.

    The file is written beside ``path`` and then renamed, so that ``path`` never holds half a network.

    Raises
    ------
    :exc:`TypeError`
        If ``network`` is no network.
    :exc:`OSError`
        If the file cannot be written.
    """
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, not {network!r}")
    path = Path(path)
    descriptions, tensors = [], {}
    for node in network.nodes:
        description, arrays = describe_node(node)
        if "weights" in arrays:
            description["weights"] = list(arrays["weights"].shape)
            arrays["weights"] = pack_trits(arrays["weights"])
        descriptions.append(description)
        tensors.update({f"{node.name}.{field}": array for field, array in arrays.items()})
    header = {
        "version": FORMAT_VERSION,
        "digest": network.digest,
        "input": {
            "shape": list(network.input_shape),
            "type": describe_type(network.input_type),
            "scale": network.input_scale,
        },
        "nodes": descriptions,
        "metadata": network.metadata,
    }
    content = to_safetensors(tensors, metadata={_KEY: json.dumps(header, sort_keys=True, allow_nan=False)})
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str]) -> Network:
    """Read a network, and check that it has the digest it was saved with.

    Raises
    ------
    :exc:`FileFormatError`
        If the file is not what :func:`save` writes, or was damaged since.
    :exc:`OSError`
        If the file cannot be read.
    """
    path = Path(path)
    path.open("rb").close()  # names a missing or unreadable file better than safe_open does
    try:
        header, tensors = _read(path)
        return _build(header, tensors)
    except SafetensorError as error:
        raise FileFormatError(f"{path}: not a whole safetensors file: {error}") from None
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{path}: {error}") from None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with safe_open(path, framework="numpy") as file:
        text = (file.metadata() or {}).get(_KEY)
        if text is None:
            raise ValueError(f"its metadata has no '{_KEY}' entry, so it holds no network")
        try:
            header = json.loads(text)
        except ValueError as error:
            raise ValueError(f"its header is no JSON: {error}") from None
        if not isinstance(header, dict) or "version" not in header:
            raise ValueError("its header lacks the field 'version'")
        version = header["version"]
        if type(version) is not int or version not in _WEIGHT_DTYPES:
            raise ValueError(f"its format version is {version!r}, and this Sterna reads versions 1 to {FORMAT_VERSION}")
        tensors = {}
        for name in file.keys():  # noqa: SIM118 (safe_open is no mapping)
            field = name.partition(".")[2]
            dtype, wanted = file.get_slice(name).get_dtype(), _WEIGHT_DTYPES[version] if field == "weights" else "I32"
            if dtype != wanted:
                raise ValueError(f"tensor '{name}' must be {wanted}, not {dtype}")
            tensors[name] = file.get_tensor(name)
    return header, tensors


def _build(header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Network:
    fields = check_entry(header, "its header", ("version", "digest", "input", "nodes", "metadata"))
    inputs = check_entry(fields["input"], "input", ("shape", "type", "scale"))
    if not isinstance(fields["nodes"], list):
        raise TypeError("nodes must be a list")
    arrays: dict[str, dict[str, np.ndarray]] = {}
    for name, tensor in tensors.items():
        owner, _, field = name.partition(".")
        arrays.setdefault(owner, {})[field] = tensor
    nodes = []
    for index, entry in enumerate(fields["nodes"]):
        label = entry.get("name") if isinstance(entry, dict) else None
        own = arrays.pop(label, {}) if isinstance(label, str) else {}
        if fields["version"] > 1 and isinstance(entry, dict) and entry.get("kind") in _WITH_WEIGHTS:
            entry = dict(entry)
            shape = entry.pop("weights", None)
            if "weights" in own:
                own["weights"] = _unpack(own["weights"], shape, entry["name"])
        nodes.append(build_node(entry, own, f"node {index}"))
    if arrays:
        owner = min(arrays)
        stray = f"{owner}.{min(arrays[owner])}".removesuffix(".")
        raise ValueError(f"tensor '{stray}' belongs to no node")
    network = Network(
        input_shape=inputs["shape"],
        input_type=build_type(inputs["type"], "type of the input"),
        input_scale=inputs["scale"],
        nodes=nodes,
        metadata=fields["metadata"],
    )
    if network.digest != fields["digest"]:
        raise ValueError(f"its digest is {network.digest}, but its header says {fields['digest']}: it was changed")
    return network


def _unpack(packed: np.ndarray, shape: object, name: str) -> np.ndarray:
    """Weights from five to a byte; ``shape`` is the node's field ``weights``."""
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise TypeError(f"weights of node '{name}' must be their shape, a list of sizes, not {shape!r}")
    try:
        return unpack_trits(packed, shape)
    except ValueError as error:
        raise ValueError(f"tensor '{name}.weights' {error}") from None
