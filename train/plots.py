"""Pictures of runs and studies, PNG files drawn by matplotlib, which is loaded when a picture is asked for.

The same input gives the same bytes: no dates, and matplotlib's own style and fonts whatever the user's settings. Lines
are in the colors of Okabe and Ito, and colormaps in order of lightness: for color-blind readers and gray prints.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sterna.net.container import replacing
from sterna.net.errors import InvalidValueError
from sterna.train.loop import HISTOGRAM_LIMIT
from sterna.train.run_log import RunLog, load_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_BLUE, _VERMILION, _GREEN, _PURPLE, *_ = _COLORS
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
_BLACK, _GRAY = "#000000", "#999999"
_SHADES = ("#FFFFFF", "#EEEEEE")  # of the stages, in turn
_WIDTH = 7.0  # inches: both columns of a page
_FEW = 40  # so many epochs get a marker each
_STYLE: dict[str, Any] = {
    "figure.dpi": 200,
    "font.size": 8,
    "axes.titlesize": 8,
    "figure.titlesize": 9,
    "figure.labelsize": 8,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
}


@dataclass(frozen=True, kw_only=True)
class StudyPoint:
    """What a method reaches on a network, over several seeds: shares, and the standard deviation of the accuracy."""

    network: str
    method: str
    zeros_mean: float
    accuracy_mean: float
    accuracy_deviation: float
    seeds: int

    def __post_init__(self) -> None:
        for name in ("zeros_mean", "accuracy_mean"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidValueError(f"{name} must be a share in [0, 1], not {getattr(self, name)}")
        if not self.accuracy_deviation >= 0:
            raise InvalidValueError(f"accuracy_deviation must not be negative, and is {self.accuracy_deviation}")
        if self.seeds < 1:
            raise InvalidValueError(f"seeds must be a positive integer, not {self.seeds}")


def plot_run(folder: str | Path, output: str | Path | None = None) -> tuple[Path, ...]:
    """Draw ``training.png``, ``accuracy-zeros.png`` and ``weights.png`` of a run, finished or in progress.

    Parameters
    ----------
    folder : a run folder.
    output : folder for the pictures, made where it is missing; the run folder unless given.

    Raises
    ------
    ValueError
        As :func:`~sterna.train.run_log.load_run`.
    ModuleNotFoundError
        If matplotlib is missing.
    """
    run = load_run(folder)
    to = Path(folder if output is None else output)
    with _style():
        figures = {
            to / "training.png": training_figure(run),
            to / "accuracy-zeros.png": accuracy_zeros_figure(run),
            to / "weights.png": weights_figure(run),
        }
        to.mkdir(parents=True, exist_ok=True)
        for path, figure in figures.items():
            _save(figure, path)
    return tuple(figures)


def plot_study(points: Sequence[StudyPoint], path: str | Path) -> Path:
    """Draw :func:`study_figure` into a PNG file.

    Raises
    ------
    ValueError
        If there are no points.
    ModuleNotFoundError
        If matplotlib is missing.
    """
    with _style():
        _save(study_figure(points), Path(path))
    return Path(path)


def training_figure(run: RunLog) -> Figure:
    """Held-out accuracy, zeros, index size and lane cycles against epochs, stages shaded, the chosen epoch marked."""
    from matplotlib.ticker import EngFormatter

    figure = _figure(run, height=4.6)
    accuracy, zeros, bits, cycles = figure.subplots(2, 2, sharex=True).flat
    few = len(run.epochs) <= _FEW
    for number, layer_zeros in enumerate(run.layer_zeros.T):
        label = "_" if number else "zeros of each layer"
        style: dict[str, Any] = {"color": _GRAY, "linewidth": 0.5, "marker": "o" if few else "", "markersize": 1.5}
        zeros.plot(run.epochs, 100 * layer_zeros, label=label, **style)
    if run.target is not None:
        zeros.axhline(100 * run.target, color=_BLACK, linestyle=":", linewidth=0.8, label="zeros wanted")
    for axes, values, color, label in (
        (accuracy, 100 * run.accuracy, _BLUE, "Held-out accuracy (%)"),
        (zeros, 100 * run.zeros, _VERMILION, "Zeros (%)"),
        (bits, run.index_entropy_bits / 1000, _GREEN, "Index size (kbit)"),
        (cycles, run.lane_cycles, _PURPLE, "Lane cycles / image"),
    ):
        axes.plot(run.epochs, values, color=color, marker="o" if few else "", label="_whole")
        axes.set_ylabel(label)
        _mark_chosen(axes, run, run.epochs, values)
        for span, shade in zip(run.spans, _SHADES * len(run.spans), strict=False):
            axes.axvspan(span.first - 0.5, span.last + 0.5, color=shade, linewidth=0, zorder=0)
    for axes in (accuracy, zeros):
        for span in run.spans:
            where = ((span.first + span.last) / 2, 1.03)
            axes.text(*where, span.stage, transform=axes.get_xaxis_transform(), ha="center")
    for axes in (bits, cycles):
        axes.set_ylim(0, max(1.05 * line.get_ydata().max() for line in axes.lines) or 1)
        axes.set_xlabel("Epoch")
    cycles.yaxis.set_major_formatter(EngFormatter())
    cycles.set_xlim(run.epochs[0] - 0.5, run.epochs[-1] + 0.5)
    cycles.xaxis.set_major_locator(_epoch_ticks())
    figure.legend(handles=zeros.get_legend_handles_labels()[0], loc="outside lower center", ncols=3)
    return figure


def accuracy_zeros_figure(run: RunLog) -> Figure:
    """Held-out accuracy against zeros: a path over the epochs, with time as color and a marker for each stage."""
    from matplotlib.colors import Normalize

    figure = _figure(run, height=4.0, width=4.6)
    axes = figure.add_subplot()
    zeros, accuracy = 100 * run.zeros, 100 * run.accuracy
    axes.plot(zeros, accuracy, color=_GRAY, linewidth=0.4, zorder=1, label="_path")
    norm = Normalize(run.epochs[0] - 0.5, run.epochs[-1] + 0.5)
    for span, marker in zip(run.spans, _MARKERS * len(run.spans), strict=False):
        part = (span.first <= run.epochs) & (run.epochs <= span.last)
        points = axes.scatter(
            zeros[part],
            accuracy[part],
            c=run.epochs[part],
            norm=norm,
            marker=marker,
            s=16,
            edgecolors="white",
            linewidths=0.3,
            zorder=2,
        )
        axes.scatter([], [], color=_GRAY, marker=marker, s=16, label=span.stage)
    if run.target is not None:
        axes.axvline(100 * run.target, color=_BLACK, linestyle=":", linewidth=0.8, zorder=0, label="zeros wanted")
    _mark_chosen(axes, run, zeros, accuracy)
    figure.colorbar(points, label="Epoch", ticks=_epoch_ticks())
    axes.set_xlabel("Zeros (%)")
    axes.set_ylabel("Held-out accuracy (%)")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def weights_figure(run: RunLog) -> Figure:
    """Histograms of the latent weights over the epochs, a heat map a layer: the share of its weights in each bin."""
    from matplotlib.colors import LogNorm

    # A run that diverged may have no weight in any bin.
    percent = 100 * run.histogram / np.maximum(run.histogram.sum(axis=2, keepdims=True), 1)
    top = percent.max() or 100.0
    columns = min(len(run.layers), 4)
    rows = -(-len(run.layers) // columns)
    figure = _figure(run, height=0.9 + 1.3 * rows)
    grid = _grid(figure, len(run.layers), rows, columns, share=True)
    for number, (axes, name) in enumerate(zip(grid, run.layers, strict=True)):
        image = axes.imshow(
            np.ma.masked_equal(percent[number].T, 0),
            norm=LogNorm(top / 1000, top),
            cmap="viridis_r",
            origin="lower",
            extent=(run.epochs[0] - 0.5, run.epochs[-1] + 0.5, -HISTOGRAM_LIMIT, HISTOGRAM_LIMIT),
            aspect="auto",
            interpolation="nearest",
        )
        for span in run.spans[1:]:
            axes.axvline(span.first - 0.5, color="white", linewidth=1.2)
            axes.axvline(span.first - 0.5, color=_BLACK, linewidth=0.8, linestyle="--")
        axes.set_title(name)
        axes.xaxis.set_major_locator(_epoch_ticks(4))
        axes.tick_params(labelbottom=number + columns >= len(grid))
    figure.supxlabel("Epoch (dashed: a new stage)" if len(run.spans) > 1 else "Epoch")
    figure.supylabel("Latent weight / RMS of the layer")
    figure.colorbar(
        image, ax=grid, label="Share of weights (%)", extend="min", aspect=15 * rows, extendfrac=0.05 / rows
    )
    return figure


def study_figure(points: Sequence[StudyPoint]) -> Figure:
    """Accuracy against zeros with its deviation over seeds: a panel a network, a line a method."""
    if not points:
        raise InvalidValueError("a study needs at least one point")
    networks = list(dict.fromkeys(point.network for point in points))
    methods = list(dict.fromkeys(point.method for point in points))
    columns = min(len(networks), 3)
    rows = -(-len(networks) // columns)
    figure = _figure(None, height=0.6 + 2.4 * rows, width=_WIDTH if columns > 1 else _WIDTH / 2)
    grid = _grid(figure, len(networks), rows, columns)
    for axes, network in zip(grid, networks, strict=True):
        for number, method in enumerate(methods):
            line = [point for point in points if (point.network, point.method) == (network, method)]
            line.sort(key=lambda point: point.zeros_mean)
            axes.errorbar(
                [100 * point.zeros_mean for point in line],
                [100 * point.accuracy_mean for point in line],
                yerr=[100 * point.accuracy_deviation for point in line],
                color=_COLORS[number % len(_COLORS)],
                marker=_MARKERS[number % len(_MARKERS)],
                capsize=2,
                label=method,
            )
        axes.set_title(network)
        axes.set_xlabel("Zeros (%)")
    for axes in grid[::columns]:
        axes.set_ylabel("Accuracy (%)")
    seeds = sorted({point.seeds for point in points})
    counts = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    handles, labels = grid[0].get_legend_handles_labels()
    title = f"mean and standard deviation of {counts} seeds"
    figure.legend(handles, labels, title=title, loc="outside lower center", ncols=2 if columns == 1 else 6)
    return figure


@contextmanager
def _style() -> Iterator[None]:
    """Matplotlib's defaults with ours, for as long as figures are made and saved."""
    with _quiet():
        try:
            from matplotlib import style
        except ModuleNotFoundError as error:
            reason = "pictures need matplotlib; install it with `pip install sterna[train]`"
            raise ModuleNotFoundError(reason, name="matplotlib") from error
        with style.context(["default", _STYLE]):
            yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Matplotlib warns of a home folder that it cannot write its caches to, and does without: no matter of a user's."""
    logger = logging.getLogger("matplotlib")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _figure(run: RunLog | None, *, height: float, width: float = _WIDTH) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    if run:
        figure.suptitle(f"{run.name}, seed {run.seed}")
    return figure


def _grid(figure: Figure, count: int, rows: int, columns: int, *, share: bool = False) -> list[Axes]:
    """Panels, row by row; the last row may be short."""
    places = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).flat
    for axes in places[count:]:
        axes.remove()
    return list(places[:count])


def _epoch_ticks(most: int = 9) -> Locator:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)


def _mark_chosen(axes: Axes, run: RunLog, x: np.ndarray, y: np.ndarray) -> None:
    if run.chosen is not None:
        here = run.epochs == run.chosen
        label = f"chosen epoch {run.chosen}"
        star: dict[str, Any] = {"marker": "*", "markersize": 9, "markerfacecolor": "white", "markeredgecolor": _BLACK}
        axes.plot(x[here], y[here], linestyle="", markeredgewidth=0.8, zorder=3, label=label, **star)


def _save(figure: Figure, path: Path) -> None:
    """Write beside its place, then rename."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with replacing(path) as beside:
        FigureCanvasAgg(figure).print_png(beside, metadata={"Software": None})
