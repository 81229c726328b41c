"""What a host needs to load a network into an accelerator: the design, which the board tells it, and the bytes.

A *design* is a JSON text, deflated: a digest of the hardware's structure and the configuration, as far as it is not the
usual one. Where only the network that the hardware was made for can be loaded, it has that network's digest, too.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from sterna.hw.config import AcceleratorConfig, Room
from sterna.hw.graph.plan import AcceleratorPlan, plan_accelerator
from sterna.net import Network, WeightNode
from sterna.net.errors import InvalidValueError

#: Bytes of the structure's digest.
_STRUCTURE = 8
#: Of the words' coding: to be raised where the same structure reads other words.
_VERSION = 1


def load_words(plan: AcceleratorPlan) -> bytes:
    """What the load port takes of a plan's own network; nothing where it has none."""
    return b"".join(image.to_bytes() for _, image in plan.images)


def load_design(plan: AcceleratorPlan) -> bytes:
    """What :func:`load_stream` has to know of an accelerator; nothing where it loads nothing."""
    if not plan.images:
        return b""
    config = _replaceable(plan) if plan.halved else plan.config
    fields = {name: value for name, value in _fields(config).items() if value != _fields(AcceleratorConfig())[name]}
    content: dict[str, Any] = {"structure": structure(plan), **fields}
    if not plan.halved:
        content["network"] = plan.network.digest
    return zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 9)


def load_stream(network: Network, design: bytes) -> bytes:
    """Bytes for the load port that make an accelerator compute a network.

    Parameters
    ----------
    network : Network
        Of the shapes and types of the one that the accelerator was made for; that one itself, where the accelerator was
        made with ``load`` and not ``loadable``.
    design : bytes
        :func:`load_design` of the accelerator.

    Raises
    ------
    ValueError
        If the network does not fit the accelerator, or the design is none.
    """
    try:
        content = json.loads(zlib.decompress(design))
        wanted, only = content.pop("structure"), content.pop("network", None)
        rooms = content.pop("loadable", None)
        config = AcceleratorConfig(**content)
    except (zlib.error, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidValueError("the accelerator's design is none that this version of Sterna knows") from error
    if only is not None and network.digest != only:
        raise InvalidValueError(
            f"the accelerator takes the words of the network {only[:12]}… alone, not those of {network.digest[:12]}…: "
            "make one with --loadable"
        )
    if rooms is not None:
        names = [node.name for node in network.nodes if isinstance(node, WeightNode)]
        if len(names) != len(rooms):
            raise InvalidValueError(
                f"the network has {len(names)} layers with weights, and the accelerator {len(rooms)}"
            )
        config = replace(config, loadable={name: Room(*room) for name, room in zip(names, rooms, strict=True)})
    plan = plan_accelerator(network, config)
    if structure(plan) != wanted:
        raise InvalidValueError(
            "the network has other shapes or types than the one that the accelerator was made for, or this version of "
            "Sterna makes other hardware"
        )
    return load_words(plan)


def structure(plan: AcceleratorPlan) -> str:
    """Digest of all that is hardware in a plan, in hexadecimal: of the same one, any network's words fit."""
    units = [
        {
            "word": unit.describe().get("word"),
            "lanes": unit.lanes,
            "steps": unit.work.steps,
            "input": [_stream(each) for each in unit.inputs],
            "output": _stream(unit.output),
            "memories": [(memory.name, memory.depth, memory.width, memory.writable) for memory in unit.memories],
            "logic": sorted(unit.logic.items()),
        }
        for unit in plan.units
    ]
    content = {"version": _VERSION, "units": units, "sources": plan.sources, "input": _stream(plan.input)}
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[: 2 * _STRUCTURE]


def _stream(stream: Any) -> list[Any]:
    return [stream.element.width, stream.element.signed, list(stream.shape), stream.elements]


def _replaceable(plan: AcceleratorPlan) -> AcceleratorConfig:
    """The configuration with which any network's plan has the same structure: nothing is derived from weights."""
    made = [unit for unit in plan.units if unit.nodes]
    return replace(
        plan.config,
        lanes=tuple(unit.lanes for unit in made),
        fps=None,
        clock_hz=None,
        cycles=None,
        units={},  # by node, and all are folded
        loadable=plan.rooms,
    )


def _fields(config: AcceleratorConfig) -> dict[str, Any]:
    """Of a configuration, for JSON; rooms in the order of the layers, whose names may differ."""
    fields = config.as_json()
    if isinstance(config.loadable, Mapping):
        fields["loadable"] = [list(asdict(room).values()) for room in config.loadable.values()]
    return fields
