"""Recipes: what is read, and what is refused in which words."""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sterna.train.methods import METHODS, Balance, Schedule, Target, ZerosScope
from sterna.train.methods.sparsity_induced import HardwareCost, SparsityInducedOptions
from sterna.train.models import Requantize
from sterna.train.recipe import Precision, RecipeError, load_recipe, parse_recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
GOOD = """
name = "small"
seed = 7
[data]
name = "digits"
validation = 100
augment = { shift = 1 }
[model]
topology = "4C3-MP2-16"
requantize = "shift"
[training]
batch = 32
epochs = 10
[method]
name = "sparsity-induced"
zeros = 0.5
[method.sparsity-induced]
cost = "lane-cycles"
"""


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_committed_recipes_are_good(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert parse_recipe(json.loads(json.dumps(recipe.as_dict())), source="again") == recipe


def test_the_recipe_of_the_documentation_is_good() -> None:
    text = (RECIPES[0].parents[1] / "docs" / "training.md").read_text(encoding="utf-8")
    found = re.findall(r"^```toml\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert found
    for block in found:
        parse_recipe(tomllib.loads(block), source="docs/training.md")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_one_line_changes_the_method(path: Path, method: str, tmp_path: Path) -> None:
    text, found = re.subn(r'(?<=\[method\]\nname = )"[a-z-]+"', f'"{method}"', path.read_text())
    assert found == 1
    changed = tmp_path / path.name
    changed.write_text(text)
    before, after = load_recipe(path), load_recipe(changed)
    assert after.method.name == method
    assert (after.method.target, after.training) == (before.method.target, before.training)
    made = after.method.make(after.training)
    assert type(made) is METHODS[method]
    assert sum(stage.epochs for stage in made.stages()) == after.training.epochs
    assert any(stage.choose for stage in made.stages())
    limit = set() if before.method.target.lane_cycles is None else {"lane_cycles"}
    assert set(after.as_dict()["method"]) == {"name", "zeros", "scope", "balance", method} | limit


def test_values_and_defaults(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(GOOD)
    recipe = load_recipe(path)
    assert recipe.seed == 7
    assert recipe.model.topology == "4C3-MP2-16"
    assert recipe.model.requantize is Requantize.SHIFT
    assert (recipe.model.input_width, recipe.model.activation_width) == (4, 4)
    assert recipe.data.augment.shift == 1.0
    assert (recipe.training.epochs, recipe.training.learning_rate) == (10, 2e-3)
    assert recipe.training.precision is Precision.FLOAT32
    assert recipe.training.hold_shifts
    assert recipe.method.target == Target(zeros=0.5, scope=ZerosScope.NETWORK, balance=Balance.NONE)
    assert recipe.method.options == SparsityInducedOptions(cost=HardwareCost.LANE_CYCLES)
    plain = recipe.as_dict()
    assert plain["model"]["requantize"] == "shift"
    assert plain["method"]["scope"] == "network"
    assert plain["method"]["sparsity-induced"]["cost"] == "lane-cycles"
    assert plain["method"]["sparsity-induced"]["thresholds"] == "learned"


def test_scope_and_balance_are_read() -> None:
    target = parse_recipe(change({"method.scope": "layer", "method.balance": "rows"}), source="r.toml").method.target
    assert target == Target(zeros=0.5, scope=ZerosScope.LAYER, balance=Balance.ROWS)


def test_uncontrolled_methods_need_no_target() -> None:
    for name, method in METHODS.items():
        if not method.controlled:
            recipe = parse_recipe(change({"method.name": name, "method.zeros": None}), source="r.toml")
            assert recipe.method.target.zeros is None
    recipe = parse_recipe(
        change({"method.name": "sca", "method.zeros": None, "method.sca": {"alpha": 0.4}}), source="r.toml"
    )
    assert recipe.as_dict()["method"]["sca"]["alpha"] == 0.4


def change(changes: dict[str, Any]) -> dict[str, Any]:
    """The good recipe's table with other values by dotted key; ``None`` takes a key out."""
    table = tomllib.loads(GOOD)
    for dotted, value in changes.items():
        *path, last = dotted.split(".")
        place = table
        for key in path:
            place = place.setdefault(key, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return table


ALL = "sparsity-induced, sca, magnitude, twn, ttq, float"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.topolgy", "3", "unknown key model.topolgy; known here: topology, input_width"),
        ("model.hidden", [3], "unknown key model.hidden; known here: topology, input_width"),
        ("extra", 1, "unknown key extra; known here: name, seed, data, model, training, method"),
        ("data.augment", {"turn": 1}, "unknown key data.augment.turn; known here: shift, rotate_degrees"),
        ("method.alpha", 1, "unknown key method.alpha; known here: zeros, lane_cycles, scope, balance"),
        ("method.twm", {"factor": 1.0}, "unknown key method.twm; known here: zeros, lane_cycles, scope, balance"),
        ("method.sca.beta", 1, "unknown key method.sca.beta; known here: alpha, "),
        ("method.float.factor", 1, "unknown key method.float.factor; known here: none"),
        ("training.batch", None, "training.batch is missing"),
        ("training.epochs", None, "training.epochs is missing"),
        ("model.topology", None, "model.topology is missing"),
        ("method.name", None, f"method.name must be one of {ALL}, not None"),
        (
            "method.zeros",
            None,
            "method.zeros is missing: sparsity-induced needs to know the share of zeros that is wanted, or a limit of "
            "method.lane_cycles",
        ),
        ("method", None, "[method] is missing"),
        ("method", "twn", "[method] is missing"),
        ("model", 3, "model must be a table, not 3"),
        ("method.sca", 3, "method.sca must be a table, not 3"),
        ("training.batch", "32", "training.batch must be an integer, not '32'"),
        ("training.batch", True, "training.batch must be an integer, not True"),
        ("training.batch", 1, "training.batch must be at least 2, not 1"),
        ("training.epochs", 1, "training.epochs must be at least 2, not 1"),
        ("training.epochs", 2.5, "training.epochs must be an integer, not 2.5"),
        ("training.learning_rate", 0, "training.learning_rate must be positive, not 0.0"),
        ("training.learning_rate", -1e-3, "training.learning_rate must be positive, not -0.001"),
        ("training.learning_rate", True, "training.learning_rate must be a number, not True"),
        ("training.learning_rate", 1e19, "training.learning_rate must be at most 1e+18 in size, not 1e+19"),
        ("training.learning_rate", -(2**63) - 1, "training.learning_rate must be a number of at most 64 bits, not one"),
        ("training.epochs", 10**20, "training.epochs must be an integer of at most 64 bits, not one of 67"),
        ("training.epochs", 1_000_001, "training.epochs must be at most 1000000, not 1000001"),
        ("training.epochs", False, "training.epochs must be an integer, not False"),
        ("data.validation", True, "data.validation must be an integer, not True"),
        ("model.input_width", 4.0, "model.input_width must be an integer, not 4.0"),
        ("data.augment", {"shift": 1001}, "data.augment.shift must be at most 1000, not 1001.0"),
        ("data.augment", {"crop": 1001}, "data.augment.crop must be at most 1000, not 1001"),
        *(
            (key, value, f"{key} must be a finite number, not {value}")
            for key in (
                "training.learning_rate",
                "training.label_smoothing",
                "data.augment.shift",
                "method.zeros",
                "method.sparsity-induced.l2",
                "method.sparsity-induced.threshold_rate",
                "method.sca.alpha",
                "method.magnitude.l2",
                "method.twn.factor",
            )
            for value in (float("nan"), float("inf"), float("-inf"))
        ),
        ("training.label_smoothing", 1.0, "training.label_smoothing must be in [0, 1), not 1.0"),
        ("training.precision", "half", "training.precision must be one of float32, bfloat16, not 'half'"),
        ("training.hold_shifts", 1, "training.hold_shifts must be true or false, not 1"),
        ("method.zeros", "0.9", "method.zeros must be a number, not '0.9'"),
        ("method.zeros", 1.0, "method.zeros must be in [0, 1), not 1.0"),
        ("method.zeros", -0.1, "method.zeros must be in [0, 1), not -0.1"),
        ("method.lane_cycles", 0, "method.lane_cycles must be a positive integer, not 0"),
        ("method.lane_cycles", 12e6, "method.lane_cycles must be an integer, not 12000000.0"),
        (
            "method",
            {"name": "magnitude", "lane_cycles": 9, "scope": "layer"},
            'method.lane_cycles is a limit of the whole network: it needs scope = "network"',
        ),
        ("method.scope", "rows", "method.scope must be one of network, layer, not 'rows'"),
        ("method.balance", "layer", "method.balance must be one of none, rows, not 'layer'"),
        ("method.name", "magic", f"method.name must be one of {ALL}, not 'magic'"),
        ("method.name", ["twn"], f"method.name must be one of {ALL}, not ['twn']"),
        ("method.sparsity-induced.ramp", 0.0, "method.sparsity-induced.ramp must be in (0, 1], not 0.0"),
        ("method.sparsity-induced.retrain", 1.5, "method.sparsity-induced.retrain must be in (0, 1], not 1.5"),
        ("method.sparsity-induced.l2", -1.0, "method.sparsity-induced.l2 must not be negative, not -1.0"),
        *(
            (f"method.sparsity-induced.{key}", 0.0, f"method.sparsity-induced.{key} must be positive, not 0.0")
            for key in ("threshold_factor", "threshold_rate", "retrain_rate", "retrain_threshold")
        ),
        (
            "method.sparsity-induced.cost",
            "area",
            "method.sparsity-induced.cost must be one of index-bits, lane-cycles, not 'area'",
        ),
        (
            "method.sparsity-induced.thresholds",
            "fixed",
            "method.sparsity-induced.thresholds must be one of learned, scheduled, not 'fixed'",
        ),
        (
            "method.sparsity-induced.threshold_basis",
            ["mean"],
            "method.sparsity-induced.threshold_basis must be one of mean, max, not ['mean']",
        ),
        ("method.sca.alpha", 2.0, "method.sca.alpha must be in (0, 2), not 2.0: from 2 on every weight falls to zero"),
        ("method.sca.alpha", 0.0, "method.sca.alpha must be in (0, 2), not 0.0"),
        ("method.sca.alpha", "a", "method.sca.alpha must be a number, not 'a'"),
        ("method.sca.hold", 0.0, "method.sca.hold must be in (0, 1], not 0.0"),
        ("method.sca.ramp", 2.0, "method.sca.ramp must be in (0, 1], not 2.0"),
        *(
            (f"method.sca.{key}", 0.0, f"method.sca.{key} must be positive, not 0.0")
            for key in ("strength", "hold_rate", "press", "spread")
        ),
        ("method.magnitude.start", 1.0, "method.magnitude.start must be in [0, 1), not 1.0"),
        ("method.magnitude.settle", 0.0, "method.magnitude.settle must be in (0, 1], not 0.0"),
        ("method.magnitude.settle_rate", 0.0, "method.magnitude.settle_rate must be positive, not 0.0"),
        ("method.magnitude.l2", -1.0, "method.magnitude.l2 must not be negative, not -1.0"),
        ("method.twn.factor", 0.0, "method.twn.factor must be positive, not 0.0"),
        ("method.ttq.threshold", 0.0, "method.ttq.threshold must be positive, not 0.0"),
        ("model.requantize", "float", "model.requantize must be one of thresholds, shift, not 'float'"),
        ("model.topology", 3, "model.topology must be a string, not 3"),
        ("model.topology", "99999999999", "model.topology: outputs of 99999999999 must be at most 65536"),
        ("model.topology", "8C3p65537", "model.topology: padding of 8C3p65537 must be at most 65536"),
        ("model.topology", "\u0663", "model.topology: '\u0663' is none of 256, 20C5, "),
        ("model.topology", "3-x", "model.topology: 'x' is none of 256, 20C5, "),
        ("model.activation_width", 9, "model.activation_width must be 1 to 8 bits, not 9"),
        ("model.input_width", 0, "model.input_width must be 1 to 8 bits, not 0"),
        ("model.learned_step", True, 'model.learned_step needs requantize = "thresholds"'),
        ("model.learned_step", 1, "model.learned_step must be true or false, not 1"),
        ("data.validation", 0, "data.validation must be a positive number of images, not 0"),
        ("data.augment", {"shift": -1}, "data.augment.shift must not be negative, not -1.0"),
        ("seed", -1, "seed must be 0 to 2^32 - 1, not -1"),
        ("seed", 2**32, "seed must be 0 to 2^32 - 1, not 4294967296"),
        ("name", "a/b", "name must be letters, digits, '-' and '_', not 'a/b'"),
        ("name", "n" * 101, "name must be at most 100 bytes long: files are called by it"),
        ("name", "\u00e9" * 51, "name must be at most 100 bytes long: files are called by it"),
        ("name", "", "name must be letters, digits, '-' and '_', not ''"),
    ],
)
def test_refusals_name_file_and_key(key: str, value: Any, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(change({key: value}), source="r.toml")
    assert str(caught.value).startswith(f"r.toml: {message}")


@pytest.mark.parametrize("zeros", [None, 0.5])
def test_sca_takes_a_target_or_a_controller(zeros: float | None) -> None:
    options = {} if zeros is None else {"alpha": 0.5}
    with pytest.raises(RecipeError, match=r"^r\.toml: sca needs either method\.zeros or method\.sca\.alpha, and not b"):
        parse_recipe(change({"method.name": "sca", "method.zeros": zeros, "method.sca": options}), source="r.toml")


def test_lane_cycles_are_a_target_beside_zeros_or_alone() -> None:
    for zeros, method in itertools.product((None, 0.5), ("sparsity-induced", "magnitude", "sca")):
        changes = {"method.name": method, "method.lane_cycles": 12_000, "method.zeros": zeros}
        recipe = parse_recipe(change(changes), source="r.toml")
        assert recipe.method.target == Target(zeros=zeros, lane_cycles=12_000)
        assert recipe.as_dict()["method"]["lane_cycles"] == 12_000
    with pytest.raises(
        RecipeError, match=r"^r\.toml: sca cannot keep to method\.lane_cycles with a constant method\.sca"
    ):
        parse_recipe(change({**changes, "method.zeros": None, "method.sca": {"alpha": 0.5}}), source="r.toml")


def test_a_target_without_lane_cycles_is_written_as_it_was_before_there_were_any() -> None:
    assert list(parse_recipe(tomllib.loads(GOOD), source="r.toml").as_dict()["method"]) == [
        "name",
        "zeros",
        "scope",
        "balance",
        "sparsity-induced",
    ]


def test_unreadable_files(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path / "none"):
        with pytest.raises(RecipeError) as caught:
            load_recipe(path)
        assert str(caught.value) == f"{path}: cannot be read: No such file or directory"
    with pytest.raises(RecipeError, match=r": cannot be read: Is a directory$"):
        load_recipe(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name = ", "not a TOML file: Invalid value (at end of document)"),
        (b"# two\nname = '\xff'", "not a TOML file: byte 0xff in line 2 is not UTF-8; save it as UTF-8"),
        (GOOD.encode("utf-16"), "not a TOML file: byte 0xff in line 1 is not UTF-8; save it as UTF-8"),
        (b"epochs = " + b"9" * 5000, "not a TOML file: "),
        (b"a = " + b"[" * 100_000, "not a recipe: its lists or tables are nested too deeply"),
        (b"a = " + b"{a=" * 100_000, "not a recipe: its lists or tables are nested too deeply"),
        (
            GOOD.replace("epochs = 10", "epochs = 0x" + "f" * 5000).encode(),
            "training.epochs must be an integer of at most 64 bits, not o",
        ),
        (b"#" * ((1 << 20) + 1), "longer than 1,048,576 bytes, so it is no recipe"),
        (
            GOOD.replace('name = "small"', "name" + ".a" * 10_000 + " = 1", 1).encode(),
            "name must be a string, not {'a': {'a': ",
        ),
        (b"", "[method] is missing"),
    ],
    ids=["cut", "byte", "UTF-16", "digits", "lists", "tables", "hexadecimal", "long", "keys", "empty"],
)
def test_files_that_are_no_recipes(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert len(str(caught.value)) < len(str(path)) + 300


def test_the_mark_of_windows_editors_is_no_part_of_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_recipe(path) == parse_recipe(tomllib.loads(GOOD), source="small.toml")


def test_defects_are_not_taken_for_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(self: Any, *arguments: Any, **options: Any) -> None:
        raise ValueError("a defect")

    for owner, name in ((Target, "__post_init__"), (METHODS["sparsity-induced"], "__init__")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, defect)
            with pytest.raises(ValueError, match=r"^a defect$") as caught:
                parse_recipe(tomllib.loads(GOOD), source="r.toml")
            assert not isinstance(caught.value, RecipeError)


def test_every_method_is_reachable_by_its_name_and_has_defaults() -> None:
    for name, method in METHODS.items():
        assert method.options_type.__doc__
        assert name == name.lower() == method.name
        method(target=Target(zeros=0.5), schedule=Schedule(epochs=5), options=method.options_type())
