"""The network's file: ``.safetensors``, with a JSON header in its metadata (docs/file-format.md)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sterna.net.checks import check_elements, shown
from sterna.net.container import StoredTensors, check_digest, open_container, write_container
from sterna.net.describe import build_input, build_node, check_entry, describe_input, describe_node
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.net.network import Network
from sterna.net.trits import pack_trits, unpack_trits

FORMAT_VERSION = 3  # load reads all up to it
_PLAIN_VERSION = 2  # what save writes of a network whose input rule needs no more
_KEY = "sterna"
_WEIGHT_DTYPES = {1: "I8", 2: "U8", 3: "U8"}  # by format version; all other tensors are I32
_WITH_WEIGHTS = ("linear", "conv2d")  # kinds of node
_MOST_AXES = 4  # of weights, whatever the node


def save(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network. The same network gives the same bytes.

    The version is the oldest that can hold it: 3 for a narrower range or preprocessing of the input, 2 otherwise.
    The file is written beside ``path`` and then renamed, so that ``path`` never holds half a network.

    Raises
    ------
    :exc:`TypeError`
        If ``network`` is no network.
    :exc:`OSError`
        If the file cannot be written.
    """
    if not isinstance(network, Network):
        raise InvalidTypeError(f"network must be a Network, not {shown(network)}")
    descriptions, tensors = [], {}
    for node in network.nodes:
        description, arrays = describe_node(node)
        if "weights" in arrays:
            description["weights"] = list(arrays["weights"].shape)
            arrays["weights"] = pack_trits(arrays["weights"])
        descriptions.append(description)
        tensors.update({f"{node.name}.{field}": array for field, array in arrays.items()})
    header = {
        "version": _PLAIN_VERSION if network.input_rule.is_plain else FORMAT_VERSION,
        "digest": network.digest,
        "input": describe_input(network.input_rule),
        "nodes": descriptions,
        "metadata": network.metadata,
    }
    write_container(Path(path), _KEY, header, tensors)


def load(path: str | os.PathLike[str]) -> Network:
    """Read a network, and check that it has the digest it was saved with.

    Raises
    ------
    :exc:`FileFormatError`
        If the file is not what :func:`save` writes, or was damaged since.
    :exc:`OSError`
        If the file cannot be read.
    """
    with open_container(Path(path), _KEY, versions=tuple(_WEIGHT_DTYPES), what="network") as (header, stored):
        return _build(header, _tensors(stored, header["version"]))


def _tensors(stored: StoredTensors, version: int) -> dict[str, np.ndarray]:
    for name in stored.names:
        field = name.partition(".")[2]
        dtype, wanted = stored.dtype(name), _WEIGHT_DTYPES[version] if field == "weights" else "I32"
        if dtype != wanted:
            raise InvalidValueError(f"tensor {shown(name)} must be {wanted}, not {dtype}")
    return {name: stored.read(name) for name in stored.names}


def _build(header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Network:
    fields = check_entry(header, "its header", ("version", "digest", "input", "nodes", "metadata"))
    check_digest(fields["digest"])
    rule = build_input(fields["input"], preprocessed=fields["version"] > _PLAIN_VERSION)
    if not isinstance(fields["nodes"], list):
        raise InvalidTypeError("nodes must be a list")
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
        raise InvalidValueError(f"tensor {shown(stray)} belongs to no node")
    network = Network(**rule, nodes=nodes, metadata=fields["metadata"])
    if network.digest != fields["digest"]:
        raise InvalidValueError(
            f"its digest is {network.digest}, but its header says {fields['digest']}: it was changed"
        )
    return network


def _unpack(packed: np.ndarray, shape: object, name: str) -> np.ndarray:
    """Weights from five to a byte; ``shape`` is the node's field ``weights``."""
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise InvalidTypeError(f"weights of node '{name}' must be their shape, a list of sizes, not {shown(shape)}")
    what = f"weights of node '{name}'"
    if len(shape) > _MOST_AXES:
        raise InvalidValueError(f"{what} must have at most {_MOST_AXES} sizes, not {len(shape)}")
    check_elements(shape, what)
    try:
        return unpack_trits(packed, shape)
    except InvalidValueError as error:
        raise InvalidValueError(f"tensor '{name}.weights' {error}") from None
