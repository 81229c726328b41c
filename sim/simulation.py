"""Builds Verilog for a simulator, once, and runs cocotb benches on it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import cocotb
from cocotb_tools.config import libs_dir
from cocotb_tools.runner import Runner, Verilator, get_results, get_runner

from sterna.sim.errors import SimulationError
from sterna.sim.simulators import Simulator, environment

_TIMESCALE = ("1ns", "1ps")
_STAMP = "digest.txt"
_LOG = "sim.log"
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


class _MarkedVerilator(Verilator):
    """cocotb's runner, but only signals that the Verilog marks as public are: the rest may be optimized.

    Builds a third faster and runs three times as fast as with every signal public.
    """

    def _build_command(self) -> list[list[str]]:
        verilate, *make = super()._build_command()
        return [[argument for argument in verilate if argument != "--public-flat-rw"], *make]


class Simulation:
    """Verilog compiled for one simulator, ready to run benches.

    The build is kept in ``folder`` and taken again as long as sources and options are the same.

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
    ) -> None:
        self._simulator = simulator
        self._sources = dict(sources)
        self._top = top
        self._folder = Path(folder).absolute()
        self._waves = waves
        self._marked = marked and not waves
        self._environment = environment(simulator)
        self._build()

    @property
    def folder(self) -> Path:
        """Where the build is kept."""
        return self._folder

    @property
    def build_log(self) -> Path:
        """What the simulator said while it built."""
        return self._folder / "build.log"

    def new_run(self) -> Path:
        """A fresh folder to run in: benches find their input there and leave their output."""
        return Path(tempfile.mkdtemp(prefix="run-", dir=self._folder))

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
        with self._runner() as runner, suppress(RuntimeError, SystemExit):
            runner.test(
                test_module=bench,
                testcase=test,
                hdl_toplevel=self._top,
                hdl_toplevel_lang="verilog",
                build_dir=self._folder,
                test_dir=folder,
                results_xml=str(results),
                plusargs=arguments,
                seed=seed,
                waves=self._waves,
                log_file=folder / _LOG,
            )
        self._judge(results, folder / _LOG, what)

    def _judge(self, results: Path, log: Path, what: str) -> None:
        try:
            tests, failed = get_results(results)
        except (RuntimeError, ElementTree.ParseError):
            raise SimulationError(f"{what}: {self._simulator.value} died before the bench ended; see {log}") from None
        if failed:
            failure = ElementTree.parse(results).getroot().find(".//failure")
            message = "" if failure is None else failure.get("error_msg") or failure.get("message") or ""
            raise SimulationError(f"{what}: {message or 'the bench failed'} (log: {log})")
        if tests == 0:
            raise SimulationError(f"{what}: no test ran; see {log}")

    def _build(self) -> None:
        digest = self._digest()
        stamp = self._folder / _STAMP
        if stamp.is_file() and stamp.read_text() == digest:
            return
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        # Built aside and renamed, so that an interrupted build is never taken for a finished one.
        fresh = Path(tempfile.mkdtemp(prefix=f"{self._folder.name}-", dir=self._folder.parent))
        for name, text in self._sources.items():
            (fresh / name).write_text(text)
        with self._runner() as runner:
            try:
                runner.build(
                    sources=[fresh / name for name in self._sources],
                    hdl_toplevel=self._top,
                    build_dir=fresh,
                    build_args=_BUILD_ARGS[self._simulator],
                    timescale=_TIMESCALE,
                    waves=self._waves and self._simulator is Simulator.VERILATOR,
                    always=True,
                    log_file=fresh / "build.log",
                )
            except (RuntimeError, SystemExit):
                log = self._folder.with_name(f"{self._folder.name}.log")
                (fresh / "build.log").replace(log)
                shutil.rmtree(fresh)
                raise SimulationError(f"{self._simulator.value} refused the Verilog; see {log}") from None
        (fresh / _STAMP).write_text(digest)
        shutil.rmtree(self._folder, ignore_errors=True)
        fresh.replace(self._folder)

    def _digest(self) -> str:
        state = [
            self._simulator.value,
            self._top,
            str(self._waves),
            str(self._marked),
            cocotb.__version__,
            str(libs_dir),
        ]
        state += [f"{key}={value}" for key, value in sorted(self._environment.items()) if key != "PATH"]
        state += _BUILD_ARGS[self._simulator]
        state += [part for pair in self._sources.items() for part in pair]
        return hashlib.sha256("\0".join(state).encode()).hexdigest()

    @contextmanager
    def _runner(self) -> Iterator[Runner]:
        changed = {**self._environment, "COCOTB_ANSI_OUTPUT": "0"}
        before = {name: os.environ.get(name) for name in [*changed, "PYTEST_CURRENT_TEST", "COCOTB_RESOLVE_X"]}
        try:
            os.environ.update(changed)
            os.environ.pop("PYTEST_CURRENT_TEST", None)  # the runner would exit the process on a failed bench
            os.environ.pop("COCOTB_RESOLVE_X", None)  # an X is an error
            marked = self._marked and self._simulator is Simulator.VERILATOR
            runner = _MarkedVerilator() if marked else get_runner(self._simulator.value)
            runner.log.disabled = True
            yield runner
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
