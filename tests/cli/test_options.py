"""Every option with bad values: one line that names it, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GENERATE = ("generate", "MODEL")
SIMULATE = ("simulate", "FOLDER")
SYNTH = ("synth", "FOLDER", "--device", "25f")
TRAIN = ("train", "recipe.toml")
DEMO = ("demo",)

HUGE = "9" * 30
RATES = ("1e-320", "0", "-1", "nan", "inf", "-inf", "1e308", "many")
CASES = [
    *((GENERATE, "--fps", value) for value in RATES),
    *((GENERATE, "--clock-mhz", value) for value in RATES),
    *((SYNTH, "--freq-mhz", value) for value in RATES),
    *((GENERATE, "--lanes", value) for value in ("0", "-1", "two", "1.5", "nan", "2,,1", ",", "")),
    *((GENERATE, "--elements-per-beat", value) for value in ("0", "4097", "-2", HUGE, "nan", "2.5")),
    *((GENERATE, "--slack", value) for value in ("nan", "-0.1", "1.1", "inf", "some")),
    *((GENERATE, "--escape-price", value) for value in ("-1", "1.5", "nan", "1e3")),
    *((GENERATE, "--name", value) for value in ("2nd", "a b", "", "../a", "[/b]")),
    *((SIMULATE, "--limit", value) for value in ("0", "-3", "1.5", "nan", "99999999999999", HUGE)),
    *((SIMULATE, "--seed", value) for value in ("-1", "1.5", "nan", HUGE)),
    *((SIMULATE, "--simulator", value) for value in ("vcs", "", "[/b]")),
    *((SIMULATE, "--dataset", value) for value in ("emnist", "", "[/b]")),
    *((SYNTH, "--seeds", value) for value in ("0", "-1", "1.5", "many", HUGE)),
    *((SYNTH, "--speed", value) for value in ("0", "5", "9", "-1", "fast", HUGE)),
    *((SYNTH, "--device", value) for value in ("up6k", "", "[/b]")),
    *((TRAIN, "--seed", value) for value in ("-1", "1.5", HUGE)),
    *((TRAIN, "--threads", value) for value in ("0", "-4", "1.5", HUGE)),
    *((DEMO, "--devices", value) for value in ("", "up5k,", "up6k", "up5k;25f")),
    *((DEMO, "--seeds", value) for value in ("0", HUGE)),
    *((("codes", "WEIGHTS"), "--quantize", value) for value in ("1", "17", "-3", HUGE, "1.5")),
]


@pytest.mark.parametrize(("command", "option", "value"), CASES)
def test_bad_value(
    command: tuple[str, ...], option: str, value: str, model: Path, folder: Path, tmp_path: Path, sterna: Callable
) -> None:
    import numpy as np

    np.savez(tmp_path / "w.npz", a=np.eye(3))
    before = sorted(tmp_path.rglob("*"))
    paths = {"MODEL": model, "FOLDER": folder, "WEIGHTS": tmp_path / "w.npz", "recipe.toml": tmp_path / "none.toml"}
    error = sterna(*(paths.get(word, word) for word in command), option, value).error
    assert option in error
    assert f"`sterna {command[0]} --help`" in error or error.startswith(f"{option} must be ")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("command", "option", "value", "said"),
    [
        (GENERATE, "--fps", "nan", "must be a number from 1e-06 to 1e+12, not nan"),
        (GENERATE, "--clock-mhz", "inf", "must be a number from 1e-06 to 1e+06, not inf"),
        (GENERATE, "--lanes", "0", "lanes must be a positive integer, not 0"),
        (GENERATE, "--elements-per-beat", "5000", "elements_per_beat must be at most 4096, not 5000"),
        (GENERATE, "--slack", "nan", "slack must be from 0 to 1, not nan"),
        (GENERATE, "--escape-price", "-1", "escape_price must be a non-negative integer, not -1"),
        (GENERATE, "--name", "2nd", "name must be a Verilog identifier, not '2nd'"),
        (SYNTH, "--freq-mhz", "0", "must be a number from 0.001 to 10000, not 0.0"),
        (SYNTH, "--device", "up6k", "unknown device 'up6k'; choose one of up5k, hx8k, 25f, 45f, 85f"),
        (SYNTH, "--speed", "9", "25f has no speed grade 9; it is made in 6, 7, 8"),
        (SIMULATE, "--simulator", "vcs", "simulator must be icarus or verilator, not 'vcs'"),
    ],
)
def test_says_what_is_right(
    command: tuple[str, ...], option: str, value: str, said: str, model: Path, folder: Path, sterna: Callable
) -> None:
    paths = {"MODEL": model, "FOLDER": folder}
    error = sterna(*(paths.get(word, word) for word in command), option, value).error
    assert error == f"Invalid value for '{option}': {said}; see `sterna {command[0]} --help`"


def test_ends_of_the_ranges_are_in_them(model: Path, tmp_path: Path, sterna: Callable) -> None:
    options = ("--fps", "1e-6", "--clock-mhz", "1e6", "--slack", "1", "--elements-per-beat", "8")
    assert sterna("generate", model, "-o", tmp_path / "out", *options).status == 0
