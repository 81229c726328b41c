"""The end of a network: what its scores are worth, and what makes the largest integer the largest score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sterna.imports.build import Builder, flipped, listed
from sterna.imports.errors import NodeRefused
from sterna.imports.functions import line_through
from sterna.imports.meaning import Probe
from sterna.imports.order import is_flat
from sterna.imports.preflight import Preflight
from sterna.imports.values import Codes, Sums, Value, as_codes
from sterna.net import Flatten, MaxPool2d, WeightNode

_NEAR = 1e-2  # of a score's step: more than this is never float32's rounding of a whole bias (as check.py has it)
_ROUNDED = 2.0**-20  # of a scale or bias: what float32 may round it by, in a few operations


def end_network(builder: Builder, preflight: Preflight, tensor: str, value: Value, *, unequal: bool) -> None:
    """End the network with the output's node.

    Parameters
    ----------
    builder : Builder
    preflight : Preflight
        What the scores are worth is written to it.
    tensor : str
        The original's, that holds the scores.
    value : Codes or Pending
    unequal : bool
        Whether scores may differ in scale or offset between classes.

    Raises
    ------
    NodeRefused
        If the output is no straight line of sums, or differs between classes.
    """
    if isinstance(value, Codes) or (isinstance(value.source, Codes) and not value.moved):
        _end_with_codes(builder, preflight, tensor, as_codes(value))
        return
    if not isinstance(value.source, Sums) or any(isinstance(node, MaxPool2d) for node in value.moved):
        raise NodeRefused("the output must be a weight layer's sums, or codes")
    line = line_through(value.functions)
    if line is None or value.whole is not None:
        raise NodeRefused("only multiplications and additions may follow the last layer: leave the rest to the host")
    node = value.source.node
    if not isinstance(node, WeightNode):
        raise NodeRefused("the last layer must have weights")
    if value.source.bounds is None:
        return
    classes = len(node.weights)
    gain, offset = (np.broadcast_to(part.ravel(), (classes,)).astype(np.float64) for part in line)
    if not (np.isfinite(gain).all() and np.isfinite(offset).all() and gain.all()):
        raise NodeRefused(f"score {int(np.argmin(np.abs(gain)))} has a gain of 0, or none that is finite")
    falling, scale = gain < 0, np.abs(gain)
    if np.ptp(scale) <= _ROUNDED * scale.max():
        scale = np.full(classes, scale[0])
    bias, left = _bias(scale, offset)
    equal = bool(np.ptp(scale) == 0 and np.ptp(left) == 0)
    if not equal and not unequal:
        differs, values = ("scale", scale) if np.ptp(scale) else ("offset", offset)
        raise NodeRefused(
            f"scores of different classes have no one {differs} ({values.min():.9g} to {values.max():.9g}), so "
            "that the largest integer need not be the largest score: train the last layer with one scale, and with no "
            f"bias or one of whole multiples of {scale.min():.9g}, or allow it with --unequal-scores"
        )
    name = builder.name(node.name)
    weights = flipped(node.weights, falling)
    builder.nodes.append(replace(node, name=name, weights=weights, bias=bias if bias.any() else None))
    last = name
    if value.order is not None:
        _check_order(value.order)
        last = builder.add(Flatten(name=f"{name}_flat"), name)
    preflight.scores = {
        "scale": listed(scale), "offset": listed(left), "equal": equal, "flipped": int(falling.sum()),
    }  # fmt: skip
    builder.probes.append(Probe(tensor=tensor, node=last, scale=scale, offset=left))


def _end_with_codes(builder: Builder, preflight: Preflight, tensor: str, codes: Codes) -> None:
    if not builder.nodes or codes.node != builder.nodes[-1].name:
        raise NodeRefused("the output must come from the last layer")
    if codes.scale < 0:
        raise NodeRefused("the scores are codes times a negative number, so that the largest is the smallest score")
    last = codes.node
    if codes.order is not None:
        _check_order(codes.order)
        last = builder.add(Flatten(name=f"{codes.node}_flat"), codes.node)
    preflight.scores = {"scale": [codes.scale], "offset": [codes.offset], "equal": True}
    known = next((probe for probe in builder.probes if probe.tensor == tensor), None)
    if known is not None:  # it may differ at ties
        builder.probes.remove(known)
        builder.probes.append(known)
    else:
        scale, offset = np.array([codes.scale]), np.array([codes.offset])
        builder.probes.append(Probe(tensor=tensor, node=last, scale=scale, offset=offset))


def _check_order(order: np.ndarray) -> None:
    """Refuses scores that do not stand as a network gives them; flattened they may be."""
    if not is_flat(order):
        raise NodeRefused("the scores are turned or padded after the last layer: leave that to the host")


def _bias(scale: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integer biases, int64, and what is left of the offsets: nothing more than one number where that can be.

    A bias of whole steps is one but for float32's rounding of it, and of the scale.
    """
    if np.ptp(offset) == 0 and np.ptp(scale) == 0:
        return np.zeros(len(offset), dtype=np.int64), offset
    common = offset[0] if np.ptp(scale) == 0 else 0.0
    steps = (offset - common) / scale
    bias = np.rint(steps)
    if np.abs(bias).max() >= 1 << 31:
        raise NodeRefused("an offset of the scores is beyond 32 bits of their scale")
    left = offset - bias * scale
    rounded = np.minimum(_ROUNDED * np.maximum(np.abs(offset), abs(common)) / scale, _NEAR)
    whole = np.ptp(scale) == 0 and (np.abs(steps - bias) <= rounded).all()
    return bias.astype(np.int64), np.full(len(offset), common) if whole else left
