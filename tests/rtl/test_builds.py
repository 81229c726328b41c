"""Builds and runs: kept, shared between processes, cleaned up, and the same in any folder and any surroundings."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sterna.net import Network
from sterna.net.errors import ToolError
from sterna.sim import simulation
from sterna.sim.errors import SimulationError
from sterna.sim.golden import GoldenModel
from sterna.sim.rtl import RtlModel
from sterna.sim.runners import PRODUCT, is_foreign
from sterna.sim.simulators import Simulator, find

Tiny = Callable[..., Path]
ODD = "a b\"c'd$HOME `e` \u00fc;#(x)\\y&|*?%"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_build_is_kept(tiny: Tiny, frames: np.ndarray, any_simulator: Simulator) -> None:
    directory = tiny()
    build = f"tiny-{any_simulator.value}"
    first = RtlModel(directory, simulator=any_simulator).predict(frames)
    binary = directory / "sim_build" / build / PRODUCT[any_simulator]
    stamp = binary.stat().st_mtime_ns
    RtlModel(directory, simulator=any_simulator).predict(frames)
    assert binary.stat().st_mtime_ns == stamp
    tiny("5'sd4 + x", "5'sd5 + x")
    second = RtlModel(directory, simulator=any_simulator).predict(frames)
    np.testing.assert_array_equal(second - first, np.broadcast_to([0, 1], first.shape))
    assert names(directory / "sim_build") == [build, f"{build}.lock"]


def test_a_model_keeps_its_verilog(tiny: Tiny, frames: np.ndarray, any_simulator: Simulator) -> None:
    """Another process builds other Verilog into the same folder: the first model goes on with its own."""
    directory = tiny()
    model = RtlModel(directory, simulator=any_simulator)
    before = model.predict(frames)
    tiny("5'sd4 + x", "5'sd5 + x")
    assert (RtlModel(directory, simulator=any_simulator).predict(frames) != before).any()
    np.testing.assert_array_equal(model.predict(frames), before)


def test_another_simulator_builds_again(
    tiny: Tiny, frames: np.ndarray, icarus: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    directory = tiny()
    RtlModel(directory, simulator=icarus).predict(frames)
    compiled = directory / "sim_build" / "tiny-icarus" / PRODUCT[icarus]
    stamp = compiled.stat().st_mtime_ns
    tool = find(icarus)
    assert tool.runtime is not None
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "vvp").symlink_to(tool.runtime)
    other = tmp_path / "other" / "iverilog"
    other.write_text(f'#!/bin/sh\necho used >> "{tmp_path}/used"\nexec {tool.compiler} "$@"\n')
    other.chmod(0o755)
    monkeypatch.setenv("STERNA_IVERILOG", str(other))
    RtlModel(directory, simulator=icarus).predict(frames)
    assert compiled.stat().st_mtime_ns != stamp
    assert (tmp_path / "used").read_text() == "used\n"
    other.write_text(other.read_text() + "# a new version\n")
    RtlModel(directory, simulator=icarus).predict(frames)
    assert (tmp_path / "used").read_text() == "used\nused\n"


_PREDICT = """
import sys
import numpy as np
from sterna.sim.rtl import RtlModel
directory, simulator, frames, result = sys.argv[1:]
np.save(result, RtlModel(directory, simulator=simulator).predict(np.load(frames)))
"""


def test_processes_at_once(
    tiny: Tiny, tiny_network: Network, frames: np.ndarray, any_simulator: Simulator, tmp_path: Path
) -> None:
    """Three processes build and run in one folder, none of which has been built before."""
    directory = tiny()
    np.save(tmp_path / "frames.npy", frames)
    arguments = [sys.executable, "-c", _PREDICT, directory, any_simulator.value, tmp_path / "frames.npy"]
    processes = [
        subprocess.Popen([*arguments, tmp_path / f"{k}.npy"], stderr=subprocess.PIPE, text=True) for k in range(3)
    ]
    assert [process.communicate()[1] for process in processes] == [""] * 3
    expected = GoldenModel(tiny_network).predict(frames)
    for k in range(3):
        np.testing.assert_array_equal(np.load(tmp_path / f"{k}.npy"), expected)
    build = f"tiny-{any_simulator.value}"
    assert names(directory / "sim_build") == [build, f"{build}.lock"]


def test_threads_at_once(tiny: Tiny, tiny_network: Network, frames: np.ndarray, any_simulator: Simulator) -> None:
    directory, before = tiny(), dict(os.environ)
    results: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: results.append(RtlModel(directory, simulator=any_simulator).predict(frames)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    for result in results:
        np.testing.assert_array_equal(result, GoldenModel(tiny_network).predict(frames))
    assert dict(os.environ) == before


def test_waves_outlive_the_build(tiny: Tiny, frames: np.ndarray, any_simulator: Simulator) -> None:
    directory = tiny()
    paths = []
    for design in (("", ""), ("", ""), ("5'sd4 + x", "5'sd5 + x")):
        tiny(*design)
        model = RtlModel(directory, simulator=any_simulator, waves=True)
        model.predict(frames)
        assert model.waves_path is not None
        paths.append(model.waves_path)
    assert len(set(paths)) == 3
    assert all(path.parent == directory / "waves" and path.stat().st_size > 1000 for path in paths)


def test_waves_of_a_failure_are_kept(tiny: Tiny, frames: np.ndarray, any_simulator: Simulator) -> None:
    directory = tiny("i__last) full <= 1;", "i__last) full <= 0;")
    model = RtlModel(directory, simulator=any_simulator, waves=True)
    with pytest.raises(SimulationError, match=r"no beat was taken .* \(waves: .*waves/tiny-\w+-1\.\w+\)$"):
        model.predict(frames)
    assert model.waves_path is not None
    assert model.waves_path.is_file()
    build = f"tiny-{any_simulator.value}-waves"
    assert names(directory / "sim_build") == [build, f"{build}.lock", f"{build}.log"]


@pytest.mark.parametrize("simulator", ["icarus", pytest.param("verilator", marks=pytest.mark.slow)], indirect=True)
def test_odd_folder(
    tiny: Tiny,
    tiny_network: Network,
    frames: np.ndarray,
    simulator: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Spaces, quotes and more in the folder's name; what a dead build of Verilator's left elsewhere is removed."""
    directory = tmp_path / ODD
    directory.mkdir()
    build = f"tiny-{simulator.value}"
    digest = hashlib.sha256(os.fsencode(directory / "sim_build" / build)).hexdigest()[:16]
    (tmp_path / "temporary" / f"sterna-{digest}-dead").mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for path in list(tiny().glob("tiny.*")):
        path.rename(directory / path.name)
    model = RtlModel(directory, simulator=simulator)
    np.testing.assert_array_equal(model.predict(frames), GoldenModel(tiny_network).predict(frames))
    assert names(directory / "sim_build") == [build, f"{build}.lock"]
    if simulator is Simulator.VERILATOR:
        assert names(tmp_path / "temporary") == []


def test_no_folder_that_make_can_handle(
    tiny: Tiny, frames: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: tuple[Simulator, ...]
) -> None:
    if Simulator.VERILATOR not in installed:
        pytest.skip("verilator is not installed, and only it uses make")
    directory = tmp_path / "with a space"
    directory.mkdir()
    for path in list(tiny().glob("tiny.*")):
        path.rename(directory / path.name)
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    with pytest.raises(ToolError, match=r"can build neither in .* nor in .*: set TMPDIR to a folder without spaces"):
        RtlModel(directory, simulator="verilator").predict(frames)
    assert names(directory / "sim_build") == ["tiny-verilator.lock"]


def test_surroundings_change_nothing(
    tiny: Tiny, tiny_network: Network, frames: np.ndarray, any_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's own settings of cocotb, its runner and make: neither wrong results nor misleading messages."""
    settings = {
        "COCOTB_TEST_FILTER": "nothing",
        "COCOTB_TESTCASE": "nothing",
        "COCOTB_TEST_MODULES": "nothing",
        "COCOTB_TOPLEVEL": "nothing",
        "COCOTB_RESULTS_FILE": "elsewhere.xml",
        "COCOTB_RANDOM_SEED": "no number",
        "COCOTB_LOG_LEVEL": "no level",
        "COCOTB_LIST_TESTS": "1",
        "COCOTB_MAX_FAILURES": "none",
        "COCOTB_RESOLVE_X": "ZEROS",
        "PYGPI_USERS": "nothing",
        "PYGPI_PYTHON_BIN": "/no/such/python",
        "GPI_USERS": "/no/such/library",
        "GPI_EXTRA": "/no/such/library",
        "LIBPYTHON_LOC": "/no/such/library",
        "TOPLEVEL_LANG": "vhdl",
        "TOPLEVEL": "nothing",
        "MODULE": "nothing",
        "TESTCASE": "nothing",
        "RANDOM_SEED": "no number",
        "COVERAGE": "perhaps",
        "WAVES": "perhaps",
        "GUI": "perhaps",
        "SIM_CMD_PREFIX": "/no/such/program",
        "SIM_CMD_SUFFIX": "+frames=1",
        "GNUMAKEFLAGS": "--no-such-option",
        "PYTEST_CURRENT_TEST": "test_x.py::test_y (call)",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    model = RtlModel(tiny(), simulator=any_simulator)
    np.testing.assert_array_equal(model.predict(frames), GoldenModel(tiny_network).predict(frames))
    assert dict(os.environ) == before


def test_foreign_variables() -> None:
    """Whatever cocotb may read in a later version as well; nothing of the system's own."""
    assert all(map(is_foreign, ("COCOTB_ANYTHING", "PYGPI_ANYTHING", "GPI_ANYTHING", "PYTEST_ANYTHING", "MODULE")))
    assert not any(map(is_foreign, ("PATH", "HOME", "TMPDIR", "CXX", "STERNA_VERILATOR", "MODULEPATH", "LANG")))


def test_modes_are_the_usual_ones(tiny: Tiny, frames: np.ndarray, any_simulator: Simulator) -> None:
    directory = tiny()
    before = os.umask(0o027)
    try:
        RtlModel(directory, simulator=any_simulator, waves=True).predict(frames)
    finally:
        os.umask(before)
    (build,) = (path for path in (directory / "sim_build").iterdir() if path.is_dir())
    assert stat.S_IMODE(build.stat().st_mode) == 0o750
    assert stat.S_IMODE(next((directory / "waves").iterdir()).stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "no space left on device")], ids=["^C", "full"])
@pytest.mark.parametrize("method", ["build", "test"])
def test_nothing_is_left_behind(
    tiny: Tiny,
    frames: np.ndarray,
    any_simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    method: str,
) -> None:
    """Whatever stops a build or a run."""

    def stop(*arguments: object, **options: object) -> None:
        raise error

    directory = tiny()
    build = f"tiny-{any_simulator.value}"
    if method == "test":
        RtlModel(directory, simulator=any_simulator).predict(frames)
    monkeypatch.setattr(f"cocotb_tools.runner.Runner.{method}", stop)
    with pytest.raises(type(error)):
        RtlModel(directory, simulator=any_simulator).predict(frames)
    assert names(directory / "sim_build") == [build] * (method == "test") + [f"{build}.lock"]


def test_what_a_dead_process_left_is_removed(
    tiny: Tiny, tiny_network: Network, frames: np.ndarray, any_simulator: Simulator, tmp_path: Path
) -> None:
    """A process is killed during its run; a living one's folder is left alone."""
    directory = tiny("", "", fields=None)
    np.save(tmp_path / "frames.npy", frames)
    sleeper = (
        "import sys, time\nfrom sterna.sim.simulation import Simulation\n"
        "Simulation.run = lambda *a, **k: (print('runs', flush=True), time.sleep(600))\n"
    )
    arguments = [directory, any_simulator.value, tmp_path / "frames.npy", tmp_path / "result.npy"]
    processes = [
        subprocess.Popen([sys.executable, "-c", sleeper + _PREDICT, *arguments], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "runs\n"
        runs = set((directory / "sim_build").glob("*.run-*"))
        assert len(runs) == 2
        processes[0].send_signal(signal.SIGKILL)
        processes[0].wait()
        model = RtlModel(directory, simulator=any_simulator)
        np.testing.assert_array_equal(model.predict(frames), GoldenModel(tiny_network).predict(frames))
        (left,) = (directory / "sim_build").glob("*.run-*")
        assert left in runs
        assert (left / "input.txt").is_file()
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_what_a_dead_build_left_is_removed(tiny: Tiny, frames: np.ndarray, any_simulator: Simulator) -> None:
    directory = tiny()
    build = f"tiny-{any_simulator.value}"
    left = directory / "sim_build" / f"{build}.part"
    left.mkdir(parents=True)
    (left / "digest.txt").write_text("half")
    RtlModel(directory, simulator=any_simulator).predict(frames)
    left.mkdir()
    RtlModel(directory, simulator=any_simulator).predict(frames)
    assert names(directory / "sim_build") == [build, f"{build}.lock"]


def test_output_that_is_cut_short(
    tiny: Tiny, frames: np.ndarray, any_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a full disk, which no simulator reports."""
    model = RtlModel(tiny(), simulator=any_simulator)
    run = simulation.Simulation.run

    def cut(name: str, lines: int) -> None:
        def run_and_cut(self: simulation.Simulation, *arguments: object, folder: Path, **options: object) -> None:
            run(self, *arguments, folder=folder, **options)  # type: ignore[arg-type]
            kept = (folder / name).read_text().splitlines(keepends=True)[:lines]
            (folder / name).write_text("".join(kept))

        monkeypatch.setattr(simulation.Simulation, "run", run_and_cut)

    for name, lines, of in (("output.txt", 79, 80), ("starts.txt", 12, 40), ("ends.txt", 0, 40)):
        cut(name, lines)
        with pytest.raises(SimulationError, match=f"wrote {lines} whole lines of {of} to {name}: is the disk full"):
            model.predict(frames)
        assert model.latency_cycles is None
