"""What stands before the input's quantizer, as the network's own input rule (docs/arithmetic.md, rule 2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sterna.imports.functions import Line
from sterna.imports.meaning import BIT, InputRule
from sterna.imports.order import to_own_order
from sterna.net import Network
from sterna.net.arithmetic import quantize_input

#: Of a code's step: moves a tie, and no other float32 near it; the larger one where thresholds are rounded to float32.
_NUDGES = (2.0**-36, 2.0**-18)
_STEEP = 2.0**40  # gain of a rule that is a step: of -1 and 1 without the 0 between
_MOST = 1 << 22  # inputs of the grid


def with_preprocessing(network: Network, rule: InputRule, inputs: np.ndarray) -> tuple[Network, bool]:
    """The network with what stands before the input's quantizer as its own preprocessing, where that is a line.

    A line is taken only if it gives the original's codes on a grid over the whole range, ties included. Other roundings
    than to even are lines too where all ties go one way: those of ``FLOOR``, or of thresholds.

    Parameters
    ----------
    network : Network
    rule : InputRule
    inputs : float32, (batch, ...)
        Of the original.

    Returns
    -------
    tuple of Network and bool
        The second: whether :meth:`Network.quantize` gives the original's codes. Where it is false, the network's rule
        is the nearest line, if there is one.
    """
    line = rule.line()
    if line is None or not {line[0].size, line[1].size} <= {1, network.input_shape[0]}:
        return network, False
    candidates = list(_candidates(rule, line))
    for gain, offset in candidates:
        if _agrees(network, rule, (gain, offset)):
            found = network.with_preprocessing(gain.ravel(), offset.ravel())
            codes = found.quantize(to_own_order(inputs, rule.order, network.input_shape))
            return found, bool(np.array_equal(codes, rule.quantize(inputs)))
    gain, offset = candidates[0]
    return network.with_preprocessing(gain.ravel(), offset.ravel()), False


def _candidates(rule: InputRule, line: Line) -> Iterator[Line]:
    """Lines whose ties fall to even, upward, downward; as ``FLOOR`` and ``CEIL`` round; a step of -1 and 1."""
    codes = rule.codes
    gain, offset = line
    if rule.quantizer is not None and rule.quantizer.bipolar and codes.type != BIT:
        for tie in (codes.scale, -codes.scale):  # what 0 becomes
            yield _STEEP * gain, _STEEP * offset + tie
        return
    shifts = [0.0]
    for nudge in _NUDGES:
        shifts += [nudge, -nudge, nudge - 0.5, 0.5 - nudge]
    for shift in shifts:
        yield gain, offset - codes.offset + shift * codes.scale


def _agrees(network: Network, rule: InputRule, line: Line) -> bool:
    """Whether a line gives the original's codes on the grid."""
    own = rule.line()
    assert own is not None
    channels = max(len(own[0]), len(own[1]), (rule.quantizer and rule.quantizer.channels) or 1)
    reals = rule.grid(own).astype(np.float64)
    apart = 2 * (len(reals[0]) * channels // _MOST) + 1  # odd, so that ties are met
    reals = np.broadcast_to(reals, (channels, reals.shape[1]))[:, ::apart]
    low, high = network.input_rule.range
    gain, offset = line
    ours = quantize_input(reals, network.input_scale, network.input_type, range=(low, high), gain=gain, offset=offset)
    return bool(np.array_equal(ours, rule.by_channel(reals)))
