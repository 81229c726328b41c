"""``sterna codes``: its tables, its JSON, its picture, and what it refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from rich.cells import cell_len

from sterna.cli import plane as picture
from sterna.cli.codes import _energy
from sterna.codes import (
    CODES,
    Measure,
    compute_plane,
    encode,
    matrix_costs,
    network_costs,
    quantize_uniform,
    save_code,
    total,
)
from sterna.net import ActivationType, Conv2d, Flatten, Network
from sterna.net.cost import matrix_statistics
from sterna.net.file import load, save

Q5 = ("--quantize", 5)
FIGURES = ("multiplications", "additions", "reads", "writes")


@pytest.fixture
def arrays(tmp_path: Path) -> dict[str, np.ndarray]:
    """Float weights: a convolution, a pruned layer, a layer."""
    rng = np.random.default_rng(5)
    pruned = rng.normal(size=(20, 60)) * (rng.random((20, 60)) < 0.1)
    return {
        "conv.weight": rng.normal(size=(8, 3, 3, 3)).astype(np.float32),
        "conv.bias": rng.normal(size=8),
        "pruned": pruned.astype(np.float32),
        "last": rng.normal(size=(4, 20)),
    }


@pytest.fixture
def weights(arrays: dict[str, np.ndarray], tmp_path: Path) -> Path:
    path = tmp_path / "weights.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plane of few points, which takes no time."""
    monkeypatch.setattr(picture, "_POINTS", 8)


@pytest.mark.parametrize("options", [(), ("--tight",)])
def test_network_as_json(options: tuple[str, ...], model: Path, sterna: Callable) -> None:
    network = load(model)
    outcome = sterna("codes", model, "--json", *options)
    assert outcome.status == 0, outcome.err
    figures = json.loads(outcome.out)
    layers = network_costs(network, tight=bool(options))
    assert figures["file"] == str(model)
    assert (figures["network_digest"], figures["quantize"], figures["skipped"]) == (network.digest, None, 0)
    assert (figures["weights"], figures["zeros"], figures["tight"]) == (66, network.zeros, bool(options))
    assert figures["entropy_bits"] == sum(layer.entropy_bits for layer in layers)
    assert list(figures["codes"]) == list(CODES)
    dense, packed = (total(layers, code) for code in ("dense", "packed"))
    for code, found in figures["codes"].items():
        wanted = total(layers, code)
        assert found == {
            "storage_bits": wanted.storage_bits,
            **{name: getattr(wanted, name) for name in FIGURES},
            "energy_pj": wanted.energy,
            "bits_per_weight": wanted.storage_bits / 66,
            "storage_gain_over_dense": dense.storage_bits / wanted.storage_bits,
            "storage_gain_over_packed": packed.storage_bits / wanted.storage_bits,
            "energy_gain_over_dense": dense.energy / wanted.energy,
        }
    assert [layer["name"] for layer in figures["layers"]] == ["hidden", "scores"]
    for found, wanted in zip(figures["layers"], layers, strict=True):
        statistics = matrix_statistics(network.node(wanted.name).weights)
        for name in ("rows", "columns", "values", "kept", "entropy", "min_entropy", "most_frequent_share"):
            assert found[name] == getattr(statistics, name)
        assert found["groups_per_row"] == statistics.groups / statistics.rows
        assert found["empty_groups_per_row"] == statistics.empty_groups / statistics.rows
        stored = {code: cost.storage.bits for code, cost in wanted.codes.items()}
        assert stored[found["best_storage"]] == min(stored.values())
        energies = {code: cost.energy.total for code, cost in wanted.codes.items()}
        assert energies[found["best_energy"]] == min(energies.values())
        for code, cost in wanted.codes.items():
            assert found["codes"][code] == {
                "storage_bits": cost.storage.bits,
                **{name: getattr(cost.operations, name) for name in FIGURES},
                "energy_pj": cost.energy.total,
            }


def test_network_as_tables(model: Path, sterna: Callable) -> None:
    network = load(model)
    outcome = sterna("codes", model)
    assert outcome.status == 0, outcome.err
    assert network.digest in outcome.out
    assert "32 a value of a matrix, a vector or a result; 8, 16 or 32 an index" in outcome.out
    layers = network_costs(network)
    lines = [line.split() for line in outcome.out.splitlines()]
    for layer in layers:
        (line,) = (line for line in lines if line[:1] == [layer.name])
        found = layer.statistics
        assert line[1:6] == [
            f"{found.rows}×{found.columns}",
            "3",
            f"{found.most_frequent_share:.3f}",
            f"{found.entropy:.3f}",
            f"{found.min_entropy:.3f}",
        ]
        assert line[6:8] == [f"{found.groups_per_row:.2f}", f"{found.empty_groups_per_row:.2f}"]
    dense = total(layers, "dense")
    for code in CODES:
        wanted = total(layers, code)
        storage, product = (line for line in lines if line[:1] == [code])
        bits = wanted.storage_bits
        assert storage[1:4] == [f"{bits:,}", f"{bits / 66:.3f}", f"{dense.storage_bits / bits:.2f}"]
        assert product[1:4] == [f"{getattr(wanted, name):,}" for name in FIGURES[:3]]
        assert product[-2] == f"{dense.energy / wanted.energy:.2f}"
    bound = sum(layer.entropy_bits for layer in layers)
    assert ["entropy", "bound", str(bound), f"{bound / 66:.3f}"] in [line[:4] for line in lines]
    assert "those they need an index" in sterna("codes", model, "--tight").out


def test_convolutions_count_at_every_place(tmp_path: Path, sterna: Callable) -> None:
    path = tmp_path / "conv.safetensors"
    kind = ActivationType(width=2, signed=False)
    filters = np.random.default_rng(3).choice([-1, 0, 1], (2, 1, 3, 3)).astype(np.int8)
    nodes = [Conv2d(name="conv", weights=filters), Flatten(name="flat")]
    save(Network(input_shape=(1, 6, 5), input_type=kind, input_scale=1.0, nodes=nodes), path)
    (layer,) = json.loads(sterna("codes", path, "--json").out)["layers"]
    assert (layer["rows"], layer["columns"], layer["positions"]) == (2, 9, 12)
    assert layer["codes"]["dense"]["multiplications"] == 18 * 12
    assert layer["codes"]["dense"]["storage_bits"] == 18 * 32


def test_energy_has_three_digits() -> None:
    shown = {0: "0.00 pJ", 7.0: "7.00 pJ", 999.0: "999 pJ", 1e3: "1.00 nJ", 131_300: "131 nJ", 15.94e6: "15.9 µJ"}
    shown |= {2.5e9: "2.50 mJ", 3e12: "3.00 J"}
    assert {energy: _energy(energy) for energy in shown} == shown


def test_arrays(arrays: dict[str, np.ndarray], weights: Path, sterna: Callable) -> None:
    outcome = sterna("codes", weights, "--quantize", 5, "--json")
    assert outcome.status == 0, outcome.err
    figures = json.loads(outcome.out)
    assert (figures["network_digest"], figures["quantize"], figures["skipped"]) == (None, 5, 1)
    assert [layer["name"] for layer in figures["layers"]] == ["conv.weight", "pruned", "last"]
    assert "base3" not in figures["codes"]
    matrices = [quantize_uniform(arrays[name].reshape(len(arrays[name]), -1), 5) for name in ("conv.weight", "pruned")]
    matrices.append(quantize_uniform(arrays["last"], 5))
    costs = [matrix_costs(matrix) for matrix in matrices]
    for code in figures["codes"]:
        assert figures["codes"][code]["energy_pj"] == total(costs, code).energy
        assert figures["codes"][code]["storage_bits"] == total(costs, code).storage_bits
    assert figures["weights"] == 8 * 27 + 20 * 60 + 80
    assert figures["zeros"] == 1 - sum(np.count_nonzero(matrix) for matrix in matrices) / figures["weights"]
    table = sterna("codes", weights, "--quantize", 5).out
    assert f"{weights}\n" in table.replace(" ", "")
    assert "; 1 arrays of one dimension left out" in table
    assert "at most 32 a matrix, uniform" in table
    assert "one product of each matrix with a vector" in table
    plain = json.loads(sterna("codes", weights, "--json").out)
    assert plain["layers"][0]["values"] == len(np.unique(arrays["conv.weight"]))


def test_ternary_arrays_and_names_with_brackets(tmp_path: Path, sterna: Callable) -> None:
    path = tmp_path / "a[bold].npz"
    np.savez(path, **{"[red]layers[0]": np.array([[1, 0, -1], [0, 0, 1]])})
    outcome = sterna("codes", path)
    assert outcome.status == 0, outcome.err
    assert "[red]layers[0]" in outcome.out
    assert str(path) in outcome.out
    assert "base3" in outcome.out


def test_80_columns(tmp_path: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sterna.cli.output._PLAIN_WIDTH", 80)
    matrix = np.random.default_rng(1).normal(size=(64, 576))
    np.savez(tmp_path / "long.npz", **{"stage3.block10.convolution2.weight": matrix})
    out = sterna("codes", tmp_path / "long.npz", "--quantize", 7).out
    assert max(cell_len(line) for line in out.splitlines()) <= 80
    assert "…" not in out
    assert "64×576" in out


@pytest.mark.usefixtures("coarse")
def test_plane(model: Path, weights: Path, tmp_path: Path, sterna: Callable) -> None:
    path = tmp_path / "plane.png"
    outcome = sterna("codes", model, "--plane", path)
    assert outcome.status == 0, outcome.err
    assert str(path) in outcome.out
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG")
    assert first.endswith(b"IEND\xaeB`\x82")
    assert b"tEXt" not in first  # versions and dates would stand there
    with matplotlib.rc_context({"font.size": 20, "savefig.dpi": 50}):
        figures = json.loads(sterna("codes", model, "--plane", path, "--json").out)
    assert figures["plane"] == str(path)
    assert path.read_bytes() == first
    assert sterna("codes", model, "--tight", "--plane", path).status == 0
    assert path.read_bytes() != first
    assert sterna("codes", weights, "--quantize", 5, "--plane", tmp_path / "arrays.PNG").status == 0
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "arrays.PNG",
        "plane.png",
        "small-net.safetensors",
        "weights.npz",
    ]
    assert "plane" not in json.loads(sterna("codes", model, "--json").out)


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize(
    "matrix",
    [np.zeros((3, 4)), np.array([[1.0, 0.0]]), np.eye(9, 200), np.array([[1.0, 2.0, 3.0, 0.0]])],
    ids=["one value", "two values", "two values, more", "four values"],
)
def test_plane_of_few_values(matrix: np.ndarray, tmp_path: Path, sterna: Callable) -> None:
    np.savez(tmp_path / "w.npz", a=matrix, empty=np.zeros((0, 3)))
    assert sterna("codes", tmp_path / "w.npz", "--tight", "--plane", tmp_path / "w.png").status == 0
    assert sterna("codes", tmp_path / "w.npz", "--quantize", 2).status == 0


def costs_at(name: str, shape: tuple[int, int], zeros: float, values: int = 3) -> Any:
    rng = np.random.default_rng(2)
    matrix = rng.integers(1, values, shape) * (rng.random(shape) >= zeros)
    return matrix_costs(matrix, name=name)


def test_plane_figure() -> None:
    layers = [costs_at("$fc1$", (30, 80), 0.9), costs_at("fc2", (10, 30), 0.5)]
    plane = compute_plane(rows=30, columns=80, values=3, points=6)
    figure = picture.plane_figure(plane, layers, "$fc1$")
    assert figure.get_suptitle() == "Cheapest codes: 30 × 80 elements of 3 values, the shape of $fc1$"
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        *(f"{name}, paper's codes" for name in ("storage", "operations", "energy")),
        *(f"{name}, all codes" for name in ("storage", "operations", "energy")),
    ]
    rows = [["dense", "csr", "cer", "cser"]] * 3 + [[code for code in CODES if code != "base3"]] * 3
    for axes, codes, measure in zip(figure.axes, rows, [*Measure, *Measure], strict=True):
        mesh, dots = axes.collections
        assert dots.get_offsets().tolist() == [
            [layer.statistics.entropy, layer.statistics.most_frequent_share] for layer in layers
        ]
        own = [min(codes, key=lambda code, at=layer: measure.of(at.codes[code])) for layer in layers]
        assert [to_hex(color) for color in dots.get_facecolors()] == [picture._COLORS[code].lower() for code in own]
        assert dots.get_sizes()[0] > dots.get_sizes()[1]
        best = plane.cheapest(measure, codes)
        light = [to_hex(picture._light(picture._COLORS[code])) for code in best.ravel()]
        assert [to_hex(color) for color in mesh.to_rgba(mesh.get_array().ravel())] == light
        assert [line.get_xdata().tolist() for line in axes.lines] == [
            plane.entropies[:, 0].tolist(),
            plane.entropies[:, -1].tolist(),
        ]
        assert (axes.get_xlim(), axes.get_ylim()) == ((0, np.log2(3)), (1 / 3, 1))
        assert {"$fc1$", "fc2"} <= {text.get_text() for text in axes.texts}
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[-1] == "a layer, by its own winner"
    assert set(labels[:-1]) >= {"cer"}


def test_every_code_has_a_color() -> None:
    assert list(picture._COLORS) == list(CODES)
    assert len(set(picture._COLORS.values())) == len(CODES)


def test_many_layers_have_no_names() -> None:
    layers = [costs_at(f"layer{number}", (20, 30), 0.1 * number) for number in range(9)]
    plane = compute_plane(rows=20, columns=30, values=3, points=4)
    texts = [text.get_text() for text in picture.plane_figure(plane, layers, "layer0").axes[0].texts]
    assert texts == ["no such matrix"]


def test_the_plane_is_for_few_values(tmp_path: Path, sterna: Callable) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, few=np.eye(3), many=np.arange(5000.0).reshape(50, 100))
    error = sterna("codes", path, "--plane", tmp_path / "w.png").error
    assert error == ("layer 'many' has 5000 values, and the plane is for at most 4096: quantize with --quantize BITS")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("plane.pdf", "{path}: the picture is a PNG file; call it .png"),
        ("none/plane.png", "cannot use {folder}: there is no such file or folder"),
        ("folder.png", "cannot use {path}: it is a folder, not a file"),
        ("weights.npz/plane.png", "cannot use {folder}: there is no such file or folder"),
    ],
)
def test_no_place_for_the_picture(name: str, reason: str, weights: Path, tmp_path: Path, sterna: Callable) -> None:
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.rglob("*"))
    path = tmp_path / name
    error = sterna("codes", weights, "--quantize", 5, "--plane", path).error
    assert error == reason.format(path=path, folder=path.parent)
    assert sorted(tmp_path.rglob("*")) == before


def test_without_matplotlib(model: Path, tmp_path: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    reason = "the Python package matplotlib is missing; install it with `pip install 'sterna[train]'`"
    assert sterna("codes", model, "--plane", tmp_path / "plane.png").error == reason
    assert list(tmp_path.iterdir()) == [model]
    assert sterna("codes", model).status == 0


@pytest.mark.usefixtures("coarse")
def test_a_failure_leaves_the_old_picture(
    model: Path, tmp_path: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plane.png"
    path.write_bytes(b"old")

    def full(self: Any, path: Path, **options: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.backends.backend_agg.FigureCanvasAgg.print_png", full)
    assert sterna("codes", model, "--plane", path).error == "the disk is full"
    assert path.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == sorted([path, model])


@pytest.mark.parametrize("bits", [1, 17, -3])
def test_bits_out_of_range(bits: int, weights: Path, sterna: Callable) -> None:
    error = sterna("codes", weights, "--quantize", bits).error
    assert error == (
        f"Invalid value for '--quantize': BITS must be an integer from 2 to 16, not {bits}; see `sterna codes --help`"
    )


def test_a_network_is_not_quantized(model: Path, sterna: Callable) -> None:
    error = sterna("codes", model, "--quantize", 5).error
    assert error == "--quantize is for arrays of an .npz file: a network's weights are ternary already"


@pytest.mark.parametrize(
    ("arrays", "options", "reason"),
    [
        ({"a": np.eye(3, dtype=int)}, Q5, "array 'a': matrix must hold floats to be quantized, not int64"),
        ({"a": np.array([[1, np.nan]])}, (), "array 'a': matrix must be finite, not nan at [0, 1]"),
        ({"a": np.ones(3)}, (), "none of its 1 arrays has two dimensions or more: no weights"),
        ({"a": np.zeros((0, 3))}, (), "there are no weights in it"),
        ({"a": np.array([[{}]])}, (), "array 'a': holds Python objects or named fields: save arrays of numbers"),
    ],
)
def test_wrong_arrays(
    arrays: dict[str, np.ndarray], options: tuple[object, ...], reason: str, tmp_path: Path, sterna: Callable
) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, **arrays)
    assert sterna("codes", path, *options, "--plane", tmp_path / "w.png").error == f"{path}: {reason}"
    assert list(tmp_path.iterdir()) == [path]


def test_a_network_without_weights(tmp_path: Path, sterna: Callable) -> None:
    path = tmp_path / "flat.safetensors"
    kind = ActivationType(width=2, signed=False)
    save(Network(input_shape=(2, 2, 2), input_type=kind, input_scale=1.0, nodes=[Flatten(name="flat")]), path)
    assert sterna("codes", path).error == f"{path}: there are no weights in it"


@pytest.mark.parametrize("name", ["w.pt", "w.npy", "w"])
def test_another_file(name: str, tmp_path: Path, sterna: Callable) -> None:
    (tmp_path / name).write_bytes(b"?")
    error = sterna("codes", tmp_path / name).error
    assert error == f"{tmp_path / name}: neither a network (.safetensors) nor arrays of weights (.npz)"


def test_a_file_of_an_encoded_matrix(tmp_path: Path, sterna: Callable) -> None:
    path = tmp_path / "coded.safetensors"
    save_code(encode(np.eye(3), "cer"), path)
    assert sterna("codes", path).error.startswith(f"{path}: its metadata has no 'sterna' entry")


@pytest.mark.parametrize("name", ["none.npz", "none.safetensors"])
def test_missing_file(name: str, tmp_path: Path, sterna: Callable) -> None:
    assert sterna("codes", tmp_path / name).error == f"cannot use {tmp_path / name}: there is no such file or folder"
