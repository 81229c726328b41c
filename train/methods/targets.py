"""Where the zeros go: thresholds that meet a share of zeros, over a network, by layer, or by row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from sterna.train.functional import threshold_for_zeros


class ZerosScope(Enum):
    """What a share of zeros is counted over."""

    NETWORK = "network"
    LAYER = "layer"


class Balance(Enum):
    """Which parts of a layer carry equal work."""

    NONE = "none"
    ROWS = "rows"  # the outputs of a layer, or the output channels: whatever way they are dealt to lanes, shares equal


def ramp(start: float, end: float, progress: float) -> float:
    """The cubic ramp from ``start`` at progress 0 to ``end`` at 1, steep at first.

    Source: Zhu and Gupta, "To prune, or not to prune", 2017, eq. 1.
    """
    return float(end + (start - end) * (1 - min(max(progress, 0.0), 1.0)) ** 3)


@dataclass(frozen=True, kw_only=True)
class CycleLimit:
    """A limit of the lane cycles of a network, or of some of its layers together.

    Parameters
    ----------
    most : cycles of all lanes for one input.
    positions : of each layer, the places at which every weight is used.
    """

    most: float
    positions: Sequence[int]


def cut(
    scores: Sequence[Tensor], zeros: float, scope: ZerosScope, balance: Balance, limit: CycleLimit | None = None
) -> list[Tensor]:
    """Thresholds below which at least a share of ``zeros`` falls, and above which lane cycles keep to a limit.

    With balanced rows, every row of a layer keeps the same number of nonzeros, or one more where the number does not
    divide: the rows that would have most of them by themselves get those. Their thresholds lie halfway between the
    scores on both sides. Equal scores fall together.

    Parameters
    ----------
    scores : float, (rows, ...) a layer; not negative. What is below its threshold is to be zero.
    zeros : share, in [0, 1).
    scope, balance : as said there.
    limit : of the layers' lane cycles together; only where ``scope`` is the network.

    Returns
    -------
    float, (rows, 1, ...) a layer
    """
    if scope is ZerosScope.NETWORK:
        count = max(_count(zeros, scores), _count_beyond(limit, scores) if limit else 0)
        shared = threshold_for_zeros(torch.cat([s.flatten() for s in scores]), count)
        thresholds = [shared] * len(scores)
    else:
        thresholds = [threshold_for_zeros(s, _count(zeros, [s])) for s in scores]
    if balance is Balance.ROWS:
        return [_balance(s, threshold) for s, threshold in zip(scores, thresholds, strict=True)]
    return [threshold.expand(len(s), *[1] * (s.dim() - 1)) for s, threshold in zip(scores, thresholds, strict=True)]


def gap(scores: Sequence[Tensor], zeros: float, scope: ZerosScope, balance: Balance) -> list[Tensor]:
    """As :func:`cut`, but in the middle between the largest score that falls below and the smallest that does not."""
    thresholds = cut(scores, zeros, scope, balance)
    rows = [s.flatten(1) for s in scores]
    flat = [t.flatten(1) for t in thresholds]
    pairs = list(zip(rows, flat, strict=True))
    below = [torch.where(r < t, r, torch.zeros_like(r)).amax(dim=1) for r, t in pairs]
    above = [torch.where(r < t, torch.full_like(r, torch.inf), r).amin(dim=1) for r, t in pairs]
    if balance is Balance.NONE:
        below, above = [b.amax().expand_as(b) for b in below], [a.amin().expand_as(a) for a in above]
        if scope is ZerosScope.NETWORK:
            low, high = torch.stack([b[0] for b in below]).amax(), torch.stack([a[0] for a in above]).amin()
            below, above = [low.expand_as(b) for b in below], [high.expand_as(a) for a in above]
    return [
        torch.where(a.isfinite(), (b + a) / 2, b).reshape_as(t)
        for b, a, t in zip(below, above, thresholds, strict=True)
    ]


def shares_by_size(
    weights: Sequence[Tensor], zeros: float, scope: ZerosScope, limit: CycleLimit | None = None
) -> list[float]:
    """Shares of zeros of layers that have a share of ``zeros`` together, or each.

    Together, a layer gets nonzeros in proportion to its rows + columns, as a matrix: small layers are denser. One that
    would get more than it has weights is full, and the others have what is left. Where that takes more lane cycles than
    the limit, those are dealt out in the same proportion, and a layer gets the lesser number of nonzeros.

    Source: Mocanu et al., "Scalable training of artificial neural networks with adaptive sparse connectivity inspired
    by network science", 2018, for the proportion (of random graphs, there); a convolution as the matrix (filters, the
    rest) is our reading.

    Parameters
    ----------
    weights : (rows, ...) a layer; only their shapes count.
    zeros : share, in [0, 1).
    scope : as said there.
    limit : of the layers' lane cycles together; only where ``scope`` is the network.
    """
    if scope is ZerosScope.LAYER:
        return [zeros] * len(weights)
    sizes = [w.numel() for w in weights]
    units = [len(w) + w[0].numel() for w in weights]
    shares = _dealt(sizes, units, (1 - zeros) * sum(sizes))
    if limit is None:
        return shares
    cycles = [size * places for size, places in zip(sizes, limit.positions, strict=True)]
    if sum((1 - share) * n for share, n in zip(shares, cycles, strict=True)) <= limit.most:
        return shares
    return [max(pair) for pair in zip(shares, _dealt(cycles, units, limit.most), strict=True)]


def _dealt(sizes: Sequence[int], units: Sequence[int], left: float) -> list[float]:
    """What is missing to the layers' full sizes, as shares, when ``left`` is dealt out in proportion to ``units``."""
    open_layers = list(range(len(sizes)))
    shares = [0.0] * len(sizes)
    while open_layers:
        each = left / sum(units[k] for k in open_layers)
        full = [k for k in open_layers if each * units[k] > sizes[k]]
        if not full:
            for k in open_layers:
                shares[k] = 1 - each * units[k] / sizes[k]
            break
        left -= sum(sizes[k] for k in full)
        open_layers = [k for k in open_layers if k not in full]
    return shares


def _count(zeros: float, scores: Sequence[Tensor]) -> int:
    return math.ceil(zeros * sum(s.numel() for s in scores) - 1e-9)


def _count_beyond(limit: CycleLimit, scores: Sequence[Tensor]) -> int:
    """How many of the smallest scores have to fall for the others to keep to the limit."""
    flat = torch.cat([s.flatten() for s in scores])
    pairs = zip(scores, limit.positions, strict=True)
    cycles = torch.cat([torch.full_like(s, places, dtype=torch.int64).flatten() for s, places in pairs])
    kept = cycles[flat.argsort(descending=True)].cumsum(dim=0)
    return len(flat) - int((kept <= limit.most).sum())


def _balance(scores: Tensor, threshold: Tensor) -> Tensor:
    """Thresholds of rows that keep together what ``threshold`` keeps, in equal parts."""
    rows = scores.flatten(1)
    natural = (rows >= threshold).sum(dim=1)
    total, count = int(natural.sum()), len(rows)
    keep = torch.full_like(natural, total // count)
    keep[natural.argsort(descending=True, stable=True)[: total % count]] += 1
    dropped = (rows.shape[1] - keep)[:, None]
    ascending = rows.sort(dim=1).values
    below = ascending.gather(1, (dropped - 1).clamp(min=0))
    above = ascending.gather(1, dropped.clamp(max=rows.shape[1] - 1))
    between = torch.maximum((below + above) / 2, torch.nextafter(below, torch.full_like(below, torch.inf)))
    return torch.where(dropped > 0, between, 0.0).reshape(count, *[1] * (scores.dim() - 1))


def above_dropped(magnitude: Tensor, dropped: Tensor) -> Tensor:
    """The smallest thresholds of rows, (rows, 1, ...), that drop exactly the ``dropped`` weights (or their equals)."""
    highest = torch.where(dropped, magnitude, torch.zeros_like(magnitude)).flatten(1).amax(dim=1)
    above = torch.nextafter(highest, torch.full_like(highest, torch.inf))
    return above.reshape(-1, *[1] * (magnitude.dim() - 1))
