"""Reading NAME.json, and what is said where it is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
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
    with pytest.raises(ManifestError, match=r"no accelerator in it .no JSON file with schema 'sterna-accelerator-1'"):
        Manifest.load(tmp_path)
    with pytest.raises(ManifestError, match="missing: no such directory; generate the Verilog first"):
        Manifest.load(tmp_path / "missing")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ManifestError, match=r"a\.json: cannot be read as JSON"):
        Manifest.load(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ManifestError, match="the field 'schema' must be 'sterna-accelerator-1'"):
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
