"""What a configuration refuses, and how it says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sterna.hw.config import MAX_ELEMENTS_PER_BEAT, AcceleratorConfig, Room, identifier


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"lanes": 0}, ValueError, r"^lanes must be a positive integer, not 0$"),
        ({"lanes": -1}, ValueError, r"^lanes must be a positive integer, not -1$"),
        ({"lanes": [4, 0]}, ValueError, r"^lanes must be a positive integer, not 0$"),
        ({"lanes": 1.5}, TypeError, r"^lanes must be a positive integer, not 1\.5$"),
        ({"lanes": True}, TypeError, r"^lanes must be a positive integer, not True$"),
        ({"lanes": [2, "3"]}, TypeError, r"^lanes must be a positive integer, not '3'$"),
        ({"lanes": "8"}, TypeError, r"^lanes must be a positive integer or a sequence of them, not '8'$"),
        ({"elements_per_beat": 0}, ValueError, r"^elements_per_beat must be a positive integer, not 0$"),
        ({"elements_per_beat": 2.0}, TypeError, r"^elements_per_beat must be a positive integer, not 2\.0$"),
        ({"elements_per_beat": 4097}, ValueError, r"^elements_per_beat must be at most 4096, not 4097$"),
        ({"units": "fc1"}, TypeError, r"^units must map names of nodes to names of units, not 'fc1'$"),
        ({"units": {"fc1": 3}}, TypeError, r"^units must map names of nodes to names of units, not \{'fc1': 3\}$"),
        ({"fps": 100.0}, ValueError, r"^fps and clock_hz go together: lanes are derived from the cycles of a frame$"),
        (
            {"clock_hz": 1e6},
            ValueError,
            r"^fps and clock_hz go together: lanes are derived from the cycles of a frame$",
        ),
        ({"fps": 0, "clock_hz": 1e6}, ValueError, r"^fps must be above 0, not 0$"),
        ({"fps": float("nan"), "clock_hz": 1e6}, ValueError, r"^fps must be above 0, not nan$"),
        ({"fps": float("inf"), "clock_hz": 1e6}, ValueError, r"^fps must be finite, not inf$"),
        ({"fps": 1, "clock_hz": float("inf")}, ValueError, r"^clock_hz must be finite, not inf$"),
        ({"fps": 1, "clock_hz": 10**400}, ValueError, r"^clock_hz must be finite, not 10+$"),
        ({"fps": 5e-324, "clock_hz": 1.0}, ValueError, r"^5e-324 frames/s at 1\.0 Hz leave no finite number of cycles"),
        ({"fps": 1.0, "clock_hz": -1e6}, ValueError, r"^clock_hz must be above 0, not -1000000\.0$"),
        ({"fps": 1.0, "clock_hz": 1e6, "lanes": 2}, ValueError, r"^give lanes or fps, not both$"),
        ({"cycles": 0}, ValueError, r"^cycles must be a positive integer, not 0$"),
        ({"cycles": 9.5}, TypeError, r"^cycles must be a positive integer, not 9\.5$"),
        ({"cycles": 9, "fps": 1.0, "clock_hz": 1e6}, ValueError, r"^give cycles or fps, not both$"),
        ({"slack": -0.1}, ValueError, r"^slack must be from 0 to 1, not -0\.1$"),
        ({"escape_price": -1}, ValueError, r"^escape_price must be a non-negative integer, not -1$"),
        ({"escape_price": 1.5}, TypeError, r"^escape_price must be a non-negative integer, not 1\.5$"),
        ({"slack": 1.5}, ValueError, r"^slack must be from 0 to 1, not 1\.5$"),
        ({"load": "fc1"}, TypeError, r"^load must be a sequence of names of nodes, not 'fc1'$"),
        ({"load": [1]}, TypeError, r"^load must be a sequence of names of nodes, not \[1\]$"),
        ({"name": "2top"}, ValueError, r"^name must be a Verilog identifier, not '2top'$"),
        ({"name": "a-b"}, ValueError, r"^name must be a Verilog identifier, not 'a-b'$"),
        ({"name": ""}, ValueError, r"^name must be a Verilog identifier, not ''$"),
    ],
)
def test_refusals(fields: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        AcceleratorConfig(**fields)


def test_what_is_taken() -> None:
    assert AcceleratorConfig(lanes=np.int64(4)).lanes == 4
    assert AcceleratorConfig(lanes=[np.int8(4), 2]).lanes == (4, 2)
    for power in range(7):
        assert AcceleratorConfig(elements_per_beat=1 << power).elements_per_beat == 1 << power
    assert MAX_ELEMENTS_PER_BEAT == 4096
    assert AcceleratorConfig(slack=0).slack == 0
    assert AcceleratorConfig(slack=1).slack == 1


def test_json() -> None:
    assert AcceleratorConfig(lanes=(4, 2), argmax=True, elements_per_beat=np.int64(2)).as_json() == {
        "lanes": [4, 2], "elements_per_beat": 2, "argmax": True, "fps": None, "clock_hz": None, "cycles": None,
        "slack": 0.005, "escape_price": 384, "load": [], "loadable": None, "compact": False, "adder_levels": 2,
        "units": {},
    }  # fmt: skip
    assert AcceleratorConfig(units={"fc1": "bitserial"}).as_json()["units"] == {"fc1": "bitserial"}
    assert AcceleratorConfig(lanes=3).as_json()["lanes"] == 3
    assert AcceleratorConfig(fps=10.0, clock_hz=1e6).as_json()["lanes"] is None
    assert AcceleratorConfig(load=["fc1", "fc2"]).as_json()["load"] == ["fc1", "fc2"]
    assert AcceleratorConfig(loadable=1.5).as_json()["loadable"] == 1.5
    rooms = AcceleratorConfig(loadable={"fc1": Room(run_width=5, steps=70)}).as_json()["loadable"]
    assert rooms == {"fc1": {"run_width": 5, "steps": 70}}


def test_what_units_take_of_it() -> None:
    assert AcceleratorConfig(slack=0.5, escape_price=3).unit_options("fc1") == {
        "slack": 0.5, "escape_price": 3, "loaded": False, "room": None, "compact": False, "adder_levels": 2,
    }  # fmt: skip
    chosen = AcceleratorConfig(load=("fc1",), compact=True)
    assert [chosen.unit_options(name)["loaded"] for name in ("fc1", "fc2", "all")] == [True, False, False]
    assert chosen.unit_options("fc1")["compact"]
    assert AcceleratorConfig(load=("all",)).unit_options("fc1")["loaded"]
    assert AcceleratorConfig(loadable=2).unit_options("fc1")["room"] == 2
    rooms = AcceleratorConfig(loadable={"fc1": Room(run_width=5, steps=70)})
    assert rooms.unit_options("fc1")["room"] == Room(run_width=5, steps=70)


def test_load_and_loadable_are_two_ways() -> None:
    with pytest.raises(ValueError, match="give load or loadable, not both"):
        AcceleratorConfig(load=("all",), loadable=1.5)


@pytest.mark.parametrize(
    ("text", "name"), [("fc1", "fc1"), ("digits-mlp", "digits_mlp"), ("2 nets", "n_2_nets"), ("", "n_"), ("é", "_")]
)
def test_identifiers(text: str, name: str) -> None:
    assert identifier(text) == name
