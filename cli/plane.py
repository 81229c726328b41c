"""The picture of ``sterna codes``: what each code wins on the plane of entropy and p0, and a network's layers on it.

Drawn here and not in train/, which needs torch: weights in an .npz file can be anybody's. The same input gives the same
bytes. Colors are those of Okabe and Ito, for color-blind readers.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sterna.net.errors import InvalidValueError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sterna.codes import MatrixCosts, Measure, Plane

__all__ = ["check_picture", "draw_plane", "plane_figure"]

_PAPER = ("dense", "csr", "cer", "cser")  # the codes that the paper compares
_COLORS = {
    "dense": "#999999",
    "packed": "#F0E442",
    "base3": "#CC79A7",
    "bitmap": "#E69F00",
    "csr": "#009E73",
    "run_length": "#D55E00",
    "cer": "#0072B2",
    "cser": "#56B4E9",
}
_LIGHT = 0.55  # of white in the color of a region: layers stand out
_OUTSIDE = "#EEEEEE"
_POINTS = 128  # along each side of the plane: seconds, and smooth enough
_FEW = 8  # so many layers get their names
_STYLE: dict[str, Any] = {
    "figure.dpi": 200,
    "font.size": 8,
    "axes.titlesize": 8,
    "figure.titlesize": 9,
    "axes.linewidth": 0.6,
    "hatch.linewidth": 0.4,
}


def check_picture(path: Path) -> None:
    """What would keep a picture from being drawn there, before long computations.

    Raises
    ------
    ValueError
        If it is not called .png.
    OSError
        If there is no such folder, or a folder of that name.
    ModuleNotFoundError
        If matplotlib is missing.
    """
    import matplotlib  # noqa: F401 (only whether it is there)

    if path.suffix.lower() != ".png":
        raise InvalidValueError(f"{path}: the picture is a PNG file; call it .png")
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))


def draw_plane(layers: Sequence[MatrixCosts], path: Path, *, tight: bool) -> None:
    """Draw :func:`plane_figure` for the shape of the largest layer into a PNG file.

    Raises
    ------
    ValueError
        If a layer has more values than the plane is computed for.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from sterna.codes import compute_plane
    from sterna.codes.plane import MAX_VALUES, MIN_VALUES
    from sterna.net.container import replacing

    layers = [layer for layer in layers if _size(layer)]
    richest = max(layers, key=lambda layer: layer.statistics.values)
    values = richest.statistics.values
    if values > MAX_VALUES:
        reason = f"layer '{richest.name}' has {values} values, and the plane is for at most {MAX_VALUES}"
        raise InvalidValueError(f"{reason}: quantize with --quantize BITS")
    largest = max(layers, key=_size)
    plane = compute_plane(
        rows=largest.statistics.rows,
        columns=largest.statistics.columns,
        values=max(values, MIN_VALUES),
        ternary=all("base3" in layer.codes for layer in layers),
        tight=tight,
        points=_POINTS,
    )
    with style.context(["default", _STYLE]):
        figure = plane_figure(plane, layers, largest.name)
        with replacing(path) as beside:
            FigureCanvasAgg(figure).print_png(beside, metadata={"Software": None})


def plane_figure(plane: Plane, layers: Sequence[MatrixCosts], shape_of: str) -> Figure:
    """Storage, operations and energy: one row for the paper's codes, one for all.

    Parameters
    ----------
    plane : for the shape of the layer ``shape_of``
    layers : drawn as dots, each in the color of the code that wins for the layer itself, in its own shape
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    from sterna.codes import Measure

    figure = Figure(figsize=(7.0, 5.4), layout="constrained")
    title = f"Cheapest codes: {plane.rows} × {plane.columns} elements of {plane.values} values, the shape of {shape_of}"
    figure.suptitle(title, parse_math=False)
    grid = figure.subplots(2, 3, sharex=True, sharey=True)
    shown: set[str] = set()
    for axes_row, (label, codes) in zip(grid, _rows(plane), strict=True):
        for axes, measure in zip(axes_row, Measure, strict=True):
            shown |= _regions(axes, plane, measure, codes)
            shown |= _dots(axes, layers, measure, codes)
            axes.set_title(f"{measure.value}, {label}")
        axes_row[0].set_ylabel("p0, share of the most frequent value")
    for axes in grid[-1]:
        axes.set_xlabel("H, entropy (bits)")
    handles: list[Any] = [Patch(color=_light(_COLORS[code]), label=code) for code in _COLORS if code in shown]
    dot: dict[str, Any] = {"linestyle": "", "marker": "o", "markerfacecolor": "white", "markeredgecolor": "black"}
    handles.append(Line2D([], [], markersize=4, label="a layer, by its own winner", **dot))
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return figure


def _rows(plane: Plane) -> tuple[tuple[str, list[str]], ...]:
    from sterna.codes import Measure

    return ("paper's codes", list(_PAPER)), ("all codes", list(plane.costs[Measure.STORAGE]))


def _regions(axes: Axes, plane: Plane, measure: Measure, codes: Sequence[str]) -> set[str]:
    """Color every place by its winner, and shade what is beyond the limits; the winners."""
    from matplotlib.colors import ListedColormap

    best = plane.cheapest(measure, codes)
    numbers = np.searchsorted(sorted(codes), best)
    colors = ListedColormap([_light(_COLORS[code]) for code in sorted(codes)])
    heights = np.broadcast_to(plane.shares[:, None], plane.entropies.shape)
    axes.set_facecolor(_OUTSIDE)
    axes.patch.set(hatch="////", edgecolor="#BBBBBB", linewidth=0)
    axes.pcolormesh(
        plane.entropies, heights, numbers, cmap=colors, vmin=-0.5, vmax=len(codes) - 0.5, shading="nearest", zorder=1
    )
    for limit in (plane.entropies[:, 0], plane.entropies[:, -1]):
        axes.plot(limit, plane.shares, color="black", linewidth=0.6, zorder=2)
    axes.set_xlim(0, np.log2(plane.values))
    axes.set_ylim(1 / plane.values, 1)
    axes.text(0.04, 0.04, "no such matrix", transform=axes.transAxes, fontsize=6, color="#555555", zorder=3)
    return set(best.ravel().tolist())


def _dots(axes: Axes, layers: Sequence[MatrixCosts], measure: Measure, codes: Sequence[str]) -> set[str]:
    """The layers at their places; the winners among them."""
    winners = [_winner(layer, measure, codes) for layer in layers]
    entropies = [layer.statistics.entropy for layer in layers]
    shares = [layer.statistics.most_frequent_share for layer in layers]
    sizes = np.array([_size(layer) for layer in layers])
    axes.scatter(
        entropies,
        shares,
        s=10 + 30 * np.sqrt(sizes / sizes.max()),
        c=[_COLORS[winner] for winner in winners],
        edgecolors="black",
        linewidths=0.5,
        clip_on=False,
        zorder=4,
    )
    if len(layers) <= _FEW:
        _names(axes, layers)
    return set(winners)


def _names(axes: Axes, layers: Sequence[MatrixCosts]) -> None:
    """In the upper right corner, which is always beyond the limits, with a line to each dot."""
    highest_first = sorted(layers, key=lambda layer: -layer.statistics.most_frequent_share)
    for number, layer in enumerate(highest_first):
        axes.annotate(
            layer.name,
            (layer.statistics.entropy, layer.statistics.most_frequent_share),
            xytext=(0.97, 0.95 - 0.055 * number),
            textcoords="axes fraction",
            ha="right",
            va="center",
            fontsize=6,
            zorder=3,
            parse_math=False,
            bbox={"facecolor": _OUTSIDE, "edgecolor": "none", "pad": 0.5},
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5)},
        )


def _winner(layer: MatrixCosts, measure: Measure, codes: Sequence[str]) -> str:
    costs = {code: measure.of(layer.codes[code]) for code in codes if code in layer.codes}
    return min(costs, key=lambda code: costs[code])


def _light(color: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    red, green, blue = (part + (1 - part) * _LIGHT for part in to_rgb(color))
    return red, green, blue


def _size(layer: MatrixCosts) -> int:
    return layer.statistics.rows * layer.statistics.columns
