"""The pictures of docs/: drawn from what the sources say today, and true."""

from __future__ import annotations

import runpy
import struct
from pathlib import Path

import draw
import example
import lanes
import numpy as np
import pytest
import rooms
import row

ROOT = Path(__file__).parents[1]


def comments(png: bytes) -> dict[str, str]:
    """The texts in a PNG file."""
    found, at = {}, 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"tEXt":
            key, _, text = png[at + 8 : at + 8 + length].partition(b"\0")
            found[key.decode()] = text.decode("latin-1")
        at += 12 + length
    return found


@pytest.mark.parametrize("name", draw.FIGURES)
def test_no_picture_is_stale(name: str) -> None:
    found = comments((ROOT / "docs" / f"{name}.png").read_bytes())
    assert found["Comment"] == draw.digest(name), f"docs/{name}.png is out of date: python docs/figures/draw.py {name}"
    assert found["Source"] == f"python docs/figures/draw.py {name}"


def test_the_same_sources_draw_the_same_bytes(tmp_path: Path) -> None:
    first = draw.draw("row", tmp_path).read_bytes()
    assert draw.draw("row", tmp_path).read_bytes() == first


def test_every_script_is_drawn_or_shared() -> None:
    scripts = {path.stem for path in draw.HERE.glob("*.py")}
    assert scripts == {*draw.FIGURES, *draw.SHARED, "draw"}


def test_an_unknown_picture_is_refused() -> None:
    with pytest.raises(SystemExit, match="there is no picture 'cat'"):
        draw.main(["cat"])


def test_the_worked_row_adds_up() -> None:
    facts = row.facts()
    assert facts["weights"] == example.weights()[row.ROW].tolist()
    for visit in facts["visits"]:
        assert facts["weights"][visit["column"]] == visit["weight"] != 0
        assert (visit["start"] + visit["distance"] + (not visit["negative"]) - visit["column"]) % 16 == 0
    assert len(facts["visits"]) == np.count_nonzero(facts["weights"])
    assert facts["visits"][-1]["total"] == np.dot(facts["weights"], facts["input"])


def test_the_simulated_layer_computes_the_matrix_and_skips_its_zeros() -> None:
    facts = lanes.facts()
    wanted = example.weights().astype(int) @ example.INPUT
    assert [value for _, value in facts["results"]] == wanted[facts["order"]].tolist()
    found = {(visit["row"], visit["column"]) for visit in facts["visits"] if visit["weight"]}
    assert found == set(zip(*np.nonzero(example.weights()), strict=True))
    assert facts["steps"] < example.weights().size / example.LANES / 3


def test_a_recording_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = lanes.simulate()
    recorded["total_1"] = [value + 1 for value in recorded["total_1"]]
    monkeypatch.setattr(lanes, "simulate", lambda: recorded)
    with pytest.raises(SystemExit, match="the recorded sums are not those of the index words"):
        lanes.facts()
    monkeypatch.undo()
    monkeypatch.setitem(lanes.NAMES, "step", "core.sequencer.stop")
    with pytest.raises(SystemExit, match=r"0 signals 'core.sequencer.stop', not one"):
        lanes.facts()


def test_every_arrow_between_rooms_is_allowed() -> None:
    held = runpy.run_path(str(Path(__file__).with_name("test_imports.py")), run_name="held")
    assert set(rooms.PLACES) <= set(held["ROOMS"])
    for room, other in rooms.facts()["edges"]:
        allowed = {name.split(".")[1] for name in held["OF_STERNA"][room]}
        assert other in allowed, f"{room} imports {other}"


def test_a_room_without_a_place_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(rooms.PLACES, "flow")
    with pytest.raises(SystemExit, match="the room 'flow' has no place in the picture"):
        rooms.facts()
