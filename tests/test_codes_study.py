"""What the study of matrix codes is made of: shapes of known architectures, drawn matrices, formulas, pages."""

from __future__ import annotations

from pathlib import Path

import codes_drawn
import codes_page
import codes_reach
import codes_study
import codes_trained
import low_entropy
import numpy as np
import pytest
from architectures import ARCHITECTURES, Architecture, Layer
from low_entropy import Wanted

from sterna.codes import CODES, encode
from sterna.net import cost


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def test_parameters_are_the_known_ones(architecture: Architecture) -> None:
    assert architecture.weights + architecture.others == architecture.parameters


@pytest.mark.parametrize(
    ("name", "layers", "products"),
    [  # multiplications for one image, as torchvision gives them in billions
        ("AlexNet", 8, 0.714),
        ("VGG-16", 16, 15.470),
        ("ResNet-152", 156, 11.514),
        ("DenseNet-161", 161, 7.728),
    ],
)
def test_places_give_the_known_products(name: str, layers: int, products: float) -> None:
    made = ARCHITECTURES[name].layers
    assert len(made) == layers
    assert sum(layer.weights * layer.positions for layer in made) / 1e9 == pytest.approx(products, abs=5e-4)


def test_maps_of_known_layers() -> None:
    def layer(network: str, name: str) -> tuple[int, int, int]:
        (found,) = (layer for layer in ARCHITECTURES[network].layers if layer.name == name)
        return found.rows, found.columns, found.positions

    assert layer("AlexNet", "conv1") == (64, 3 * 11 * 11, 55 * 55)
    assert layer("VGG-16", "fc6") == (4096, 25088, 1)
    assert layer("ResNet-152", "conv3_1_shortcut") == (512, 256, 28 * 28)
    assert layer("ResNet-152", "conv5_3_expand") == (2048, 512, 49)
    assert layer("DenseNet-161", "block4_24_grow") == (48, 192 * 9, 49)
    assert layer("DenseNet-161", "classifier") == (1000, 2208, 1)


@pytest.mark.parametrize("name", codes_drawn.WANTED)
def test_distributions_have_what_is_wanted(name: str) -> None:
    wanted, layers = codes_drawn.WANTED[name], ARCHITECTURES[name].layers
    solved = low_entropy.solve(wanted, layers)
    assert solved.shares.sum() == pytest.approx(1)
    assert solved.shares[low_entropy.TOP] == wanted.p0 == solved.shares.max()
    assert solved.entropy == pytest.approx(wanted.entropy, abs=1e-9)
    assert solved.expected_groups(layers) == pytest.approx(wanted.groups, abs=1e-6)


LAYERS = (
    Layer(name="a", rows=60, columns=250, positions=9),
    Layer(name="b", rows=7, columns=3000, positions=1),
    Layer(name="c", rows=1, columns=5, positions=1),
)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(p0=0.5, entropy=0.9, groups=3), "an entropy of 0.9 bits cannot be reached with a share of 0.5"),
        (Wanted(p0=0.1, entropy=4.0, groups=90), "90 groups a row cannot be reached, only 20.5 to 38.7"),
        (Wanted(p0=0.01, entropy=4.0, groups=25), "with a share of 0.01, 0 is not the most frequent value"),
    ],
)
def test_what_cannot_be_drawn_is_said(wanted: Wanted, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        low_entropy.solve(wanted, LAYERS)


def drawn(layer: Layer, *, shift: int = 0) -> np.ndarray:
    shares = low_entropy.solve(Wanted(p0=0.3, entropy=3.0, groups=15), LAYERS).shares
    return low_entropy.draw(np.roll(shares, shift), layer.rows, layer.columns, (3, abs(shift)))


def test_drawn_matrices_follow_the_distribution_and_the_seed() -> None:
    matrix = drawn(LAYERS[0])
    assert matrix.dtype == np.int8
    assert (matrix == drawn(LAYERS[0])).all()
    shares = low_entropy.solve(Wanted(p0=0.3, entropy=3.0, groups=15), LAYERS).shares
    found = np.bincount(matrix.ravel().astype(int) + low_entropy.TOP, minlength=127) / matrix.size
    assert np.abs(found - shares).max() < 0.015


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize("shift", [0, -5, 20])
def test_statistics_counted_in_another_way_are_the_same(
    layer: Layer, shift: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(low_entropy, "_CHUNK", 700)  # several rows at a time, or a part of one
    matrix = drawn(layer, shift=shift)
    found, value = low_entropy.statistics(matrix)
    wanted = cost.matrix_statistics(matrix)
    for name, figure in vars(wanted).items():
        assert getattr(found, name) == pytest.approx(figure, abs=1e-12), name
    assert (matrix == value).mean() == wanted.most_frequent_share


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize("shift", [0, -5])
def test_stored_bits_are_those_of_the_formulas(layer: Layer, shift: int) -> None:
    matrix = drawn(layer, shift=shift)
    _, bits = codes_drawn.formulas(matrix)
    assert bits == {code: encode(matrix, code).storage(value_bits=32).bits for code in codes_drawn.CODES}


def test_the_worked_example_is_equal_to_the_entry() -> None:
    assert codes_study.example()["equal"]


def test_pruning_leaves_the_largest_in_magnitude() -> None:
    matrices = {"a": np.array([[0.1, -3.0, 2.0]]), "b": np.array([[-0.2], [5.0]])}
    pruned = codes_trained.prune(matrices, 0.6)
    assert pruned["a"].tolist() == [[0, -3.0, 0]]
    assert pruned["b"].tolist() == [[0], [5.0]]
    assert codes_trained.prune(matrices, 0)["a"] is matrices["a"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for source in codes_trained.SOURCES:
        names = ["conv1.weight", "layer3.0.conv2.weight"] if source.pruned != (0.0,) else ["conv2.0", "ip1.0"]
        path = tmp_path / source.file
        path.parent.mkdir(exist_ok=True)
        np.savez(path, **{name: rng.standard_normal((4, 30)).astype(np.float32) for name in names}, bias=np.ones(4))
    return tmp_path


def test_cases_of_weights(folder: Path) -> None:
    cases = [case for source in codes_trained.SOURCES for case in codes_trained.quantized(source, folder)]
    assert len({case.key for case in cases}) == len(cases) == 2 * 12 + 2 * 5
    for case in cases:
        values = [len(np.unique(matrix)) for _, matrix, _ in case.layers]
        assert case.bits is None or max(values) <= 2**case.bits
        zeros = np.mean([(matrix == 0).mean() for _, matrix, _ in case.layers])
        assert zeros >= case.pruned - 0.01
    places = {case.label: [places for _, _, places in case.layers] for case in cases}
    assert places["ResNet-20"] == [1024, 64]
    assert places["LeNet-5"] == [64, 1]


def test_figures_of_a_ternary_case() -> None:
    path = Path(codes_study.__file__).parents[1] / "models" / "digits-mlp.safetensors"
    made = codes_trained.figures(codes_trained.ternary(path))
    gains = made["gains"]
    assert gains["packed"]["storage"] == pytest.approx(16, rel=0.03)
    assert made["best_by_layer"]["storage"] >= max(entry["storage"] for entry in gains.values())
    assert gains["cer"]["energy_without_multiplications"] > gains["cer"]["energy"]


def result(**parts: object) -> dict[str, object]:
    return {"command": "python benchmarks/codes_study.py", "parts": parts}


def gains(storage: float, energy: float, **more: float) -> dict[str, float]:
    return {"storage": storage, "operations": 1.0, "energy": energy, **more}


def ternary(label: str, zeros: float, storage: float, energy: float) -> dict[str, object]:
    codes = dict.fromkeys(("csr", "cer", "cser"), gains(2.0, 3.0, energy_without_multiplications=4.0))
    codes["run_length"] = gains(storage, energy, energy_without_multiplications=5.0)
    common = {"label": label, "kind": "ternary", "bits": 2, "pruned": 0.0, "groups_per_row": 1.5, "entropy": 0.3}
    more = {
        "zeros": zeros,
        "entropy_gain": 99.0,
        "best_by_layer": {"storage": storage, "energy": energy},
        "gains": codes,
    }
    return {**common, **more}


def test_the_page_says_which_ternary_networks_miss_a_bound() -> None:
    cases = {
        "dense": ternary("dense", 0.9, 50.0, 10.0),
        "good": ternary("good", 0.95, 90.0, 150.0),
        "short": ternary("short", 0.98, 81.0, 19.0),
    }
    page = codes_page.study(result(weights={"command": "python benchmarks/codes_study.py", "cases": cases}))
    assert "Storage: of the 2 networks with 95 % zeros or more, 2 reach the must, and all but `short` (81.0)" in page
    assert "Energy: of the 2 networks with 95 % zeros or more, 1 reach the must, and all but `short` (19.0)" in page
    assert "This part" not in page


def test_the_page_says_when_storage_is_not_that_of_the_formulas() -> None:
    def made(equal: bool) -> str:
        network = {
            "wanted": {"p0": 0.07, "entropy": 4.8, "groups": 55.8},
            "reached": {"p0": 0.07, "entropy": 4.8, "groups": 55.8, "empty_groups": 3.0},
            "remembered": {"storage": (0.71, 2.0, 2.11), "energy": (1.0, 1.0, 1.0)},
            "freedom": 3.0,
            "elements": 1000,
            "rows": 10,
            "packed_gain": 4.5,
            "layers": [],
            "gains": {code: gains(2.1, 30.0, storage_of_wide_columns=2.0) for code in ("csr", "cer", "cser")},
        }
        command = "python benchmarks/codes_study.py --parts architectures"
        return codes_page.study(
            result(architectures={"command": command, "networks": {"VGG-16": network}, "equal": equal, "seed": 1})
        )

    assert "DO NOT EQUAL" not in made(True)
    assert "**DO NOT EQUAL**" in made(False)
    assert "| VGG-16 | `cer` | 2.10 | 2.00 | 5.0 % |" in made(True)
    assert "This part: `python benchmarks/codes_study.py --parts architectures`." in made(True)


def test_where_the_abstract_is_reached() -> None:
    cases = {"a": ternary("a", 0.95, 90.0, 25.0), "b": ternary("b", 0.98, 10.0, 5.0)}
    cases["b"]["gains"]["cer"] = gains(16.0, 3.0)
    section = codes_reach.section({"weights": {"cases": cases}})
    assert "15 times less storage** by CER or CSER:\n  - some of them: ternary, 95 % zeros or more" in section
    assert "20 times less energy** by CER or CSER:\n  - none of them: ternary, 95 % zeros or more" in section
    assert "zeros or more | 1 of 2: 2.00 to 16.0, `cer`, `cser` | 2 of 2: 16.0 to 90.0, `cer`, `run_length`" in section
    assert "time" not in section.splitlines()[-2]
    assert codes_reach.section({}) == ""


def test_speed_page() -> None:
    product = {"best_ms": 2.0, "median_ms": 2.5, "against_dense_loop": 1.0, "against_scipy_csr": 0.5}
    made = codes_page.speed(
        {
            "products": {"dense": {**product, "bits_per_element": 32.0}, "scipy_csr": {**product, "best_ms": 1.0}},
            "side": 4096,
            "zeros": 0.9,
            "threads": 2,
            "rounds": 200,
            "seed": 1,
            "dense_loop_simd": {"vfmadd231ps": 4},
        }
    )
    lines = made.splitlines()
    assert lines[4] == "| `scipy_csr` | 1.000 | 2.500 | 1.00 | 0.50 |  |"
    assert lines[5] == "| `dense` | 2.000 | 2.500 | 1.00 | 0.50 | 32.000 |"
    assert "4 `vfmadd231ps`" in made
    assert "2 threads" in made


def test_pieces_stand_for_all_rows_of_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    codes_times = pytest.importorskip("codes_times", reason="needs numba")
    architecture = ARCHITECTURES["AlexNet"]
    monkeypatch.setattr(codes_times, "MOST_ELEMENTS", 1 << 16)
    pieces = list(codes_times.drawn_pieces("AlexNet", batch=False))
    assert max(matrix.size for matrix, _, _ in pieces) < 1 << 17
    rows = sum(len(matrix) * count for matrix, _, count in pieces)
    assert rows == pytest.approx(architecture.rows)
    assert {places for _, places, _ in pieces} == {layer.positions for layer in architecture.layers}


@pytest.mark.parametrize(("batch", "wanted"), [(False, 1 + 2), (True, (1 + 2 * 4) / 256)])
def test_times_are_sums_an_input(batch: bool, wanted: float, monkeypatch: pytest.MonkeyPatch) -> None:
    codes_times = pytest.importorskip("codes_times", reason="needs numba")
    monkeypatch.setattr(codes_times, "take_turns", lambda made, rounds: {name: {"best_ms": 1.0} for name in made})
    ternary = np.array([[0, 1, -1, 0, 0, 1], [0, 0, 0, -1, 0, 0]], dtype=np.int8)
    pieces = [(ternary, 1, 1.0), (ternary * 3, 4, 2.0)]
    times = codes_times.time_pieces(pieces, 1, batch=batch)
    assert times == pytest.approx(dict.fromkeys({"numpy_dense", "scipy_csr", *CODES} - {"base3"}, wanted))


def test_times_reach_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    codes_times = pytest.importorskip("codes_times", reason="needs numba")
    digits = codes_trained.ternary(Path(codes_study.__file__).parents[1] / "models" / "digits-mlp.safetensors")
    monkeypatch.setattr(codes_times, "WANTED", {})
    monkeypatch.setattr(codes_times, "every_case", lambda folder: [digits])
    monkeypatch.setattr(
        codes_times,
        "take_turns",
        lambda made, rounds: {name: {"best_ms": 6.0 if name == "dense" else 3.0} for name in made},
    )
    command = {"command": "python benchmarks/codes_study.py"}
    times = {**command, **codes_times.measure(None, 4)}
    weights = {**command, "cases": {digits.key: codes_trained.figures(digits)}}
    page = codes_page.study(result(weights=weights, times=times))
    assert "| **2.00** / **2.00** / **2.00** |" in page
    assert "**1.7 times less time of one input** by CER or CSER:\n  - all of them: ternary, fewer zeros" in page
    assert "the shortest of 4 rounds" in page
