"""Pictures show what the log says, and nothing else; the same input gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from sterna.train import plots
from sterna.train.layers import HiddenLayer, ScoreLayer, TernaryLayer
from sterna.train.loop import HISTOGRAM_BINS
from sterna.train.models import Requantize, build
from sterna.train.plots import StudyPoint, plot_run, plot_study
from sterna.train.quantizers import InputQuantizer, TernaryQuantizer
from sterna.train.run_log import Span, load_run
from sterna.train.topology import parse_topology

NAMES = ("training.png", "accuracy-zeros.png", "weights.png")
RESNET_20 = "16C3p1-R16-R16-R16-R32s2-R32-R32-R64s2-R64-R64-AP8"


def record(epoch: int, stage: str, layers: int) -> dict[str, Any]:
    """A line of a log, no figure of which can be taken for another, or for another epoch's."""
    rng = np.random.default_rng((epoch, layers))
    histogram = rng.integers(1, 90, (layers, HISTOGRAM_BINS))
    histogram[:, :3] = 0
    return {
        "epoch": epoch,
        "stage": stage,
        "loss": 2 / epoch,
        "validation_accuracy": 0.5 + epoch / 100,
        "validation_loss": 1 / epoch,
        "zeros": 0.4 + epoch / 50,
        "layer_zeros": [0.3 + epoch / 50 + layer / 100 for layer in range(layers)],
        "index_entropy_bits": 9000.5 - 100 * epoch,
        "lane_cycles": 70000 - 1000 * epoch,
        "histogram": histogram.tolist(),
    }


def write(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in records))


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """A run folder with its log; with results too where an epoch is chosen."""

    def make(*, stages: str = "aaabb", topology: str = "8-6", layers: int = 3, chosen: int | None = None) -> Path:
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        recipe = {"name": "small", "model": {"topology": topology}, "method": {"name": "sca", "zeros": 0.6}}
        (folder / "recipe.json").write_text(json.dumps({"recipe": recipe, "seed": 7}))
        write(folder / "log.jsonl", [record(epoch, stage, layers) for epoch, stage in enumerate(stages, 1)])
        if chosen:
            digest = hashlib.sha256((folder / "log.jsonl").read_bytes()).hexdigest()
            (folder / "results.json").write_text(json.dumps({"epoch": chosen, "log_sha256": digest}))
        return folder

    return make


def size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG file, from its header."""
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert content.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_run_log(make_folder: Callable[..., Path]) -> None:
    run = load_run(make_folder(chosen=4))
    assert (run.name, run.seed, run.target, run.chosen) == ("small", 7, 0.6, 4)
    assert run.spans == (Span(stage="a", first=1, last=3), Span(stage="b", first=4, last=5))
    assert run.layers == ("fc1", "fc2", "fc3")
    lines = [record(epoch, "", 3) for epoch in range(1, 6)]
    for values, key in (
        (run.epochs, "epoch"),
        (run.accuracy, "validation_accuracy"),
        (run.zeros, "zeros"),
        (run.layer_zeros, "layer_zeros"),
        (run.index_entropy_bits, "index_entropy_bits"),
        (run.lane_cycles, "lane_cycles"),
        (run.histogram.transpose(1, 0, 2), "histogram"),
    ):
        assert values.tolist() == [line[key] for line in lines], key


def test_files(make_folder: Callable[..., Path]) -> None:
    folder = make_folder(chosen=4)
    before = names(folder)
    paths = plot_run(folder)
    assert paths == tuple(folder / name for name in NAMES)
    assert names(folder) == before | set(NAMES)
    assert [size(path) for path in paths] == [(1400, 920), (920, 800), (1400, 440)]


def test_another_folder(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    before = names(folder)
    assert plot_run(folder, tmp_path / "new" / "pictures") == tuple(tmp_path / "new" / "pictures" / n for n in NAMES)
    assert names(folder) == before


def test_same_bytes_whatever_the_settings(make_folder: Callable[..., Path]) -> None:
    folder = make_folder(chosen=5)
    first = [path.read_bytes() for path in plot_run(folder)]
    with matplotlib.rc_context({"font.size": 20, "figure.dpi": 50, "savefig.dpi": 50, "axes.grid": True}):
        assert [path.read_bytes() for path in plot_run(folder)] == first
        assert matplotlib.rcParams["font.size"] == 20
    for content in first:
        assert b"tEXt" not in content  # versions and dates would stand there


def test_a_failure_leaves_the_old_pictures(make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder()
    plot_run(folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}

    def full(self: Any, path: Path, **options: Any) -> None:
        path.write_bytes(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr("matplotlib.backends.backend_agg.FigureCanvasAgg.print_png", full)
    with pytest.raises(OSError, match="the disk is full"):
        plot_run(folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("rest", ["", '{"epoch": 6, "stage"', '{"epoch": 6, "stage": "b"\ufffd'])
def test_a_line_being_written_is_left_out(make_folder: Callable[..., Path], rest: str) -> None:
    folder = make_folder()
    whole = plots.load_run(folder)
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(rest)
    run = plots.load_run(folder)
    assert run.epochs.tolist() == whole.epochs.tolist() == [1, 2, 3, 4, 5]
    assert run.chosen is None
    plot_run(folder)


def test_results_of_another_log_choose_nothing(make_folder: Callable[..., Path]) -> None:
    folder = make_folder(chosen=4)
    make_folder(stages="aa")  # a run anew, in progress
    assert load_run(folder).chosen is None


def test_training_figure(make_folder: Callable[..., Path]) -> None:
    run = load_run(make_folder(chosen=4))
    figure = plots.training_figure(run)
    assert figure.get_suptitle() == "small, seed 7"
    accuracy, zeros, bits, cycles = figure.axes
    for axes, label, values in (
        (accuracy, "Held-out accuracy (%)", 100 * run.accuracy),
        (zeros, "Zeros (%)", 100 * run.zeros),
        (bits, "Index size (kbit)", run.index_entropy_bits / 1000),
        (cycles, "Lane cycles / image", run.lane_cycles),
    ):
        assert axes.get_ylabel() == label
        (line,) = (line for line in axes.lines if line.get_label() == "_whole")
        assert line.get_xdata().tolist() == [1, 2, 3, 4, 5]
        assert line.get_ydata().tolist() == values.tolist()
        (star,) = (line for line in axes.lines if line.get_label() == "chosen epoch 4")
        assert (star.get_xdata().tolist(), star.get_ydata().tolist()) == ([4], [values[3]])
        shades = [(s.get_x(), s.get_width(), to_hex(s.get_facecolor())) for s in axes.patches]
        assert shades == [(0.5, 3.0, "#ffffff"), (3.5, 2.0, "#eeeeee")]
        assert axes.get_xlim() == (0.5, 5.5)
    singles = [line.get_ydata().tolist() for line in zeros.lines[:3]]
    assert singles == [(100 * run.layer_zeros[:, layer]).tolist() for layer in range(3)]
    (wanted,) = (line for line in zeros.lines if line.get_label() == "zeros wanted")
    assert set(wanted.get_ydata()) == {60.0}
    assert [(text.get_text(), text.get_position()[0]) for text in accuracy.texts] == [("a", 2.0), ("b", 4.5)]
    assert bits.get_ylim() == (0, pytest.approx(1.05 * 8.9005))
    assert cycles.get_ylim() == (0, pytest.approx(1.05 * 69000))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "zeros of each layer",
        "zeros wanted",
        "chosen epoch 4",
    ]


def test_no_epoch_is_marked_in_a_run_in_progress(make_folder: Callable[..., Path]) -> None:
    run = load_run(make_folder())
    labels = {line.get_label() for axes in plots.training_figure(run).axes for line in axes.lines}
    assert labels == {"_whole", "_", "zeros of each layer", "zeros wanted"}


def test_accuracy_zeros_figure(make_folder: Callable[..., Path]) -> None:
    run = load_run(make_folder(chosen=2))
    axes, bar = plots.accuracy_zeros_figure(run).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Zeros (%)", "Held-out accuracy (%)")
    assert bar.get_ylabel() == "Epoch"
    path = next(line for line in axes.lines if line.get_label() == "_path")
    assert path.get_xydata().tolist() == np.stack([100 * run.zeros, 100 * run.accuracy], axis=1).tolist()
    first, second = (points for points in axes.collections if len(points.get_offsets()))
    assert first.get_array().tolist() == [1, 2, 3]
    assert second.get_array().tolist() == [4, 5]
    assert second.get_offsets().tolist() == [[100 * run.zeros[i], 100 * run.accuracy[i]] for i in (3, 4)]
    assert first.norm is second.norm
    assert first.get_paths()[0].vertices.tolist() != second.get_paths()[0].vertices.tolist()
    star = next(line for line in axes.lines if line.get_label() == "chosen epoch 2")
    assert star.get_xydata().tolist() == [[100 * run.zeros[1], 100 * run.accuracy[1]]]


def test_weights_figure(make_folder: Callable[..., Path]) -> None:
    run = load_run(make_folder())
    *panels, bar = plots.weights_figure(run).axes
    assert [axes.get_title() for axes in panels] == ["fc1", "fc2", "fc3"]
    assert bar.get_ylabel() == "Share of weights (%)"
    for layer, axes in enumerate(panels):
        (image,) = axes.images
        assert image.get_extent() == [0.5, 5.5, -4.0, 4.0]
        assert image.origin == "lower"
        counts = run.histogram[layer]
        shares = 100 * counts / counts.sum(axis=1, keepdims=True)
        shown = image.get_array()
        assert shown.shape == (HISTOGRAM_BINS, 5)
        assert np.ma.getdata(shown).tolist() == shares.T.tolist()
        assert np.array_equal(np.ma.getmaskarray(shown), counts.T == 0)
        assert [line.get_xdata()[0] for line in axes.lines] == [3.5, 3.5]  # black on white
        assert image.norm.vmax == panels[0].images[0].norm.vmax >= shares.max()
    assert panels[0].images[0].norm.vmax == max(axes.images[0].get_array().max() for axes in panels)


def test_resnet_20(make_folder: Callable[..., Path]) -> None:
    folder = make_folder(topology=RESNET_20, layers=22)
    run = load_run(folder)
    *panels, _bar = plots.weights_figure(run).axes
    assert [axes.get_title() for axes in panels] == list(run.layers)
    assert len(panels) == 22
    assert run.layers[9] == "shortcut1"
    labelled = [number for number, axes in enumerate(panels) if axes.xaxis.get_tick_params()["labelbottom"]]
    assert labelled == [18, 19, 20, 21]
    width, height = size(plot_run(folder)[2])
    assert width == 1400
    assert 1200 < height < 2200


@pytest.mark.parametrize("layers", [1, 3])
def test_one_epoch(make_folder: Callable[..., Path], layers: int) -> None:
    folder = make_folder(stages="a", layers=layers, topology="" if layers == 1 else "8-6")
    figure = plots.training_figure(load_run(folder))
    for axes in figure.axes:
        for line in axes.lines:
            assert len(line.get_xdata()) > 1 or line.get_marker() == "o"  # else nothing could be seen
        assert [tick for tick in axes.get_xticks() if 0.5 < tick < 1.5] == [1]
    plot_run(folder)


def test_a_diverged_run_can_be_drawn(make_folder: Callable[..., Path]) -> None:
    folder = make_folder()
    lost = record(1, "a", 3) | {"loss": float("nan"), "histogram": [[0] * HISTOGRAM_BINS] * 3}
    write(folder / "log.jsonl", [lost])
    for path in plot_run(folder):
        assert size(path) > (0, 0)


@pytest.mark.parametrize(
    ("topology", "image_shape"),
    [
        ("", (64,)),
        ("64-32", (64,)),
        ("8C3-MP2-8C3-10", (1, 16, 16)),
        ("R8-R8-R8s2-R16", (1, 16, 16)),
        ("8C3p1-R8-R16s2-AP4", (3, 16, 16)),
        (RESNET_20, (3, 32, 32)),
    ],
)
def test_layer_names(make_folder: Callable[..., Path], topology: str, image_shape: tuple[int, ...]) -> None:
    with torch.random.fork_rng(devices=[]):
        model = build(
            topology=parse_topology(topology),
            image_shape=image_shape,
            classes=10,
            input_quantizer=InputQuantizer(width=4, scale=1.0),
            activation_width=4,
            requantize=Requantize.THRESHOLDS,
            quantizer=lambda shape: TernaryQuantizer(shape=shape, factor=0.7),
        )
    wanted = tuple(n for n, m in model.named_layers() if isinstance(m, HiddenLayer | ScoreLayer | TernaryLayer))
    assert load_run(make_folder(topology=topology, layers=len(wanted))).layers == wanted


def test_layers_are_numbered_where_names_do_not_fit(make_folder: Callable[..., Path]) -> None:
    assert load_run(make_folder(layers=2)).layers == ("layer 1", "layer 2")


@pytest.mark.parametrize("missing", ["recipe.json", "log.jsonl"])
def test_not_a_run_folder(make_folder: Callable[..., Path], missing: str) -> None:
    folder = make_folder()
    (folder / missing).unlink()
    with pytest.raises(ValueError, match=r"run: not a run folder, which has recipe\.json and log\.jsonl; `sterna"):
        plot_run(folder)
    assert not set(NAMES) & names(folder)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("log.jsonl", lambda text: "", r"log\.jsonl: nothing to show yet: no epoch is over"),
        ("log.jsonl", lambda text: text[:30], r"log\.jsonl: nothing to show yet: no epoch is over"),
        ("log.jsonl", lambda text: text[9:], r"log\.jsonl: line 1 is damaged: "),
        ("log.jsonl", lambda text: text.replace("histogram", "bars"), r"log\.jsonl: line 1 has no 'histogram': of ano"),
        ("recipe.json", lambda text: text[:-1], r"recipe\.json: damaged: "),
        ("recipe.json", lambda text: text.replace("topology", "hidden"), r"recipe\.json: has no 'topology': of anothe"),
        ("results.json", lambda text: text[:-1], r"results\.json: damaged: "),
    ],
)
def test_damaged_files(make_folder: Callable[..., Path], name: str, change: Callable[[str], str], reason: str) -> None:
    folder = make_folder(chosen=4)
    (folder / name).write_text(change((folder / name).read_text()))
    with pytest.raises(ValueError, match=reason):
        plot_run(folder)


def test_without_matplotlib(make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pictures need matplotlib; .*pip install sterna\[train\]") as caught:
        plot_run(folder)
    assert caught.value.name == "matplotlib"


def point(**changes: Any) -> StudyPoint:
    values = {
        "network": "n",
        "method": "m",
        "zeros_mean": 0.9,
        "accuracy_mean": 0.8,
        "accuracy_deviation": 0,
        "seeds": 3,
    }
    return StudyPoint(**{**values, **changes})


def test_study_figure() -> None:
    points = [
        point(zeros_mean=0.9, accuracy_mean=0.8, accuracy_deviation=0.02),
        point(zeros_mean=0.5, accuracy_mean=0.9, accuracy_deviation=0.01),
        point(method="other", accuracy_mean=0.7, accuracy_deviation=0.03),
        point(network="second", method="other", accuracy_mean=0.6),
    ]
    figure = plots.study_figure(points)
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["n", "second"]
    assert (first.get_xlabel(), first.get_ylabel()) == ("Zeros (%)", "Accuracy (%)")
    one, other = first.containers
    line, _caps, (bars,) = one
    assert line.get_xydata().tolist() == [[50, 90], [90, 80]]
    assert np.array(bars.get_segments()) == pytest.approx(np.array([[[50, 89], [50, 91]], [[90, 78], [90, 82]]]))
    assert other[0].get_xydata().tolist() == [[90, 70]]
    drawn = {c.get_label(): c[0].get_color() for c in second.containers if len(c[0].get_xdata())}
    assert drawn == {"other": other[0].get_color()}
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["m", "other"]
    assert legend.get_title().get_text() == "mean and standard deviation of 3 seeds"
    legend = plots.study_figure([point(seeds=5), point(seeds=3)]).legends[0]
    assert legend.get_title().get_text() == "mean and standard deviation of 3 to 5 seeds"


@pytest.mark.parametrize("networks", [1, 2, 5])
def test_plot_study(tmp_path: Path, networks: int) -> None:
    points = [point(network=f"network {n}", zeros_mean=z) for n in range(networks) for z in (0.5, 0.95)]
    path = plot_study(points, tmp_path / "study.png")
    content = path.read_bytes()
    assert size(path)[0] == (700 if networks == 1 else 1400)
    assert names(tmp_path) == {"study.png"}
    assert plot_study(points, tmp_path / "study.png").read_bytes() == content


def test_study_without_points(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a study needs at least one point"):
        plot_study([], tmp_path / "study.png")
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"zeros_mean": 90.0}, r"zeros_mean must be a share in \[0, 1\], not 90.0"),
        ({"accuracy_mean": -0.1}, r"accuracy_mean must be a share in \[0, 1\], not -0.1"),
        ({"accuracy_deviation": -0.1}, "accuracy_deviation must not be negative, and is -0.1"),
        ({"accuracy_deviation": float("nan")}, "accuracy_deviation must not be negative, and is nan"),
        ({"seeds": 0}, "seeds must be a positive integer, not 0"),
    ],
)
def test_wrong_points(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        point(**changes)
