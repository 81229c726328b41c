"""Reading NAME.json, and what is said where it is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sterna.sim.errors import ManifestError
from sterna.sim.manifest import Manifest

DATA = Path(__file__).parents[1] / "rtl" / "data"


def test_load() -> None:
    manifest = Manifest.load(DATA)
    assert manifest.name == "tiny"
    assert manifest.verilog == DATA / "tiny.v"
    assert manifest.input.shape == (4,)
    assert manifest.output.signed
    assert [unit.name for unit in manifest.units] == ["fc1", "fc2"]
    first = manifest.units[0]
    assert first.channel_order == (2, 0, 1)
    assert first.constant_channels == {3: 1}
    assert first.shape == (4,)
    assert first.transfer == ("fc1", "transfer")
    assert Manifest.load(DATA / "tiny.json") == manifest
    timing = (manifest.latency_cycles, manifest.period_cycles, manifest.period_frames, manifest.settled_frames)
    assert timing == (8, 7, 1, 0)
    assert (manifest.interval, manifest.interval_cycles, manifest.largest_gap_cycles) == (7, 7, 7)
    assert manifest.read_verilog() == (DATA / "tiny.v").read_text()


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "tiny.json").write_bytes((DATA / "tiny.json").read_bytes())
    (tmp_path / "tiny.v").write_bytes((DATA / "tiny.v").read_bytes())
    (tmp_path / "synth.json").write_text('{"lut4": 7}')
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{")
    assert Manifest.load(tmp_path).name == "tiny"
    (tmp_path / "other.json").write_bytes((DATA / "tiny.json").read_bytes())
    with pytest.raises(ManifestError, match=r"several accelerators in it \(other.json, tiny.json\); give the JSON"):
        Manifest.load(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no accelerator in it .no JSON file with schema 'sterna-accelerator-3'"):
        Manifest.load(tmp_path)
    with pytest.raises(ManifestError, match="missing: no such directory; generate the Verilog first"):
        Manifest.load(tmp_path / "missing")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ManifestError, match=r"a\.json: cannot be read as JSON"):
        Manifest.load(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ManifestError, match="the field 'schema' must be 'sterna-accelerator-3'"):
        Manifest.load(tmp_path / "a.json")


def _delete(fields: dict[str, Any]) -> None:
    del fields["input"]["beats"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_delete, "the field 'beats' is missing; generate the Verilog again"),
        (lambda f: f["input"].update(beats=5), r"the field 'input.beats' must be 4 for shape \[4\], not 5"),
        (lambda f: f["output"].update(tdata_width=9), "the field 'output.tdata_width' must be 8, not 9"),
        (lambda f: f["output"].update(element_width=9), "'output.bytes_per_element' does not fit elements of 9 bits"),
        (lambda f: f["input"].update(element_width="wide"), "invalid literal for int.*: 'wide'; generate the Verilog"),
        (
            lambda f: f["units"][0].update(channel_order=[0, 1, 1]),
            "the channels of unit 'fc1' must be in one list",
        ),
        (lambda f: f["units"][0].update(unused_channels=[9]), "the channels of unit 'fc1' must be in one list"),
        (lambda f: f["units"][0]["trace"].update(payload=[]), r"the field 'trace' must give lists of names, not \[\]"),
        (lambda f: f.update(units=3), "'int' object is not iterable"),
        (lambda f: f.pop("verilog_sha256"), "the field 'verilog_sha256' is missing; generate the Verilog again"),
        (lambda f: f["timing"].pop("period_frames"), "the field 'period_frames' is missing; generate the Verilog"),
        (
            lambda f: f["timing"].update(period_cycles=6),
            "the field 'timing.interval_cycles' must be 6, period_cycles / period_frames, not 7; generate the Verilog",
        ),
        (lambda f: f["timing"].update(interval_cycles=7.5), "'timing.interval_cycles' must be 7, .*, not 7.5"),
        (
            lambda f: f["timing"].update(period_frames=0),
            "the field 'timing.period_frames' must be an integer of at least 1, not 0",
        ),
        (lambda f: f["timing"].update(settled_frames=-1), "'timing.settled_frames' must be an integer of at least 0"),
        (lambda f: f["timing"].update(largest_gap_cycles=7.0), "'timing.largest_gap_cycles' must be an integer .*7.0"),
        (lambda f: f["input"].update(elements_per_beat=0), "division or modulo by zero; generate the Verilog again"),
        (lambda f: f["units"][0]["output"].update(shape=[]), "tuple index out of range; generate the Verilog again"),
        (lambda f: f["input"].update(beats=float("inf")), "cannot convert float infinity to integer; generate"),
    ],
)
def test_wrong_fields(tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    fields = json.loads((DATA / "tiny.json").read_text())
    change(fields)
    (tmp_path / "tiny.v").write_text("")
    (tmp_path / "tiny.json").write_text(json.dumps(fields))
    with pytest.raises(ManifestError, match=message) as caught:
        Manifest.load(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "tiny.json"))


def test_verilog_is_missing(tmp_path: Path) -> None:
    (tmp_path / "tiny.json").write_bytes((DATA / "tiny.json").read_bytes())
    with pytest.raises(ManifestError, match=r"tiny.v is missing beside it; generate the Verilog again"):
        Manifest.load(tmp_path)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (
            "sterna-accelerator-1",
            r"made by an older Sterna \(.*-1'\); generate the Verilog again$",
        ),
        ("sterna-accelerator-4", r"made by a newer Sterna \(.*-4'\); use that one, or generate the Verilog again$"),
        ("sterna-accelerator-10", "made by a newer Sterna"),
        ("sterna-accelerator-two", "the field 'schema' must be 'sterna-accelerator-3'"),
        (2, "the field 'schema' must be 'sterna-accelerator-3'"),
    ],
)
def test_other_schemas(tmp_path: Path, schema: object, message: str) -> None:
    (tmp_path / "tiny.json").write_text(json.dumps({"schema": schema}))
    with pytest.raises(ManifestError, match=message) as caught:
        Manifest.load(tmp_path / "tiny.json")
    if "Sterna" in message:
        with pytest.raises(ManifestError) as from_folder:
            Manifest.load(tmp_path)
        assert str(from_folder.value) == str(caught.value)


def test_one_of_this_schema_is_found_beside_an_older_one(tmp_path: Path) -> None:
    for name in ("tiny.json", "tiny.v"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    (tmp_path / "old.json").write_text('{"schema": "sterna-accelerator-1"}')
    assert Manifest.load(tmp_path).name == "tiny"


def test_other_verilog(tmp_path: Path) -> None:
    """A `generate` that was stopped between its two files is noticed, also behind a manifest's back."""
    for name in ("tiny.json", "tiny.v"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    manifest = Manifest.load(tmp_path)
    with (tmp_path / "tiny.v").open("a") as file:
        file.write("\n")
    message = "tiny.v beside it is not the Verilog that it describes .*; generate the Verilog again$"
    for read in (manifest.read_verilog, lambda: Manifest.load(tmp_path)):
        with pytest.raises(ManifestError, match=message):
            read()


def test_interval_that_is_no_whole_number(tmp_path: Path) -> None:
    fields = json.loads((DATA / "tiny.json").read_text())
    fields["timing"].update(period_cycles=20, period_frames=3, interval_cycles=20 / 3)
    (tmp_path / "tiny.v").write_bytes((DATA / "tiny.v").read_bytes())
    (tmp_path / "tiny.json").write_text(json.dumps(fields))
    manifest = Manifest.load(tmp_path)
    assert manifest.interval == Fraction(20, 3)
    assert manifest.interval_cycles == 20 / 3
