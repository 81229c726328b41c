"""cocotb's runners as Sterna needs them: relative names, the simulator that was found, nothing of the surroundings."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cocotb_tools.config import lib_entry
from cocotb_tools.runner import Icarus, Runner, Verilator

from sterna.sim.simulators import Simulator, Tool

#: Name of what a build makes and a run needs.
PRODUCT = {Simulator.ICARUS: "sim.vvp", Simulator.VERILATOR: "simulation"}

# What cocotb, its runner and make read besides what is set for them: a user's own settings would change the run.
_FOREIGN_PREFIXES = ("COCOTB_", "PYGPI_", "GPI_", "PYTEST_", "LIBPYTHON", "SIM_CMD_", "COVERAGE")
_FOREIGN = {
    *("MODULE", "TOPLEVEL", "TOPLEVEL_LANG", "TOPLEVEL_LIBRARY", "TESTCASE", "RANDOM_SEED"),
    *("SIM", "GUI", "WAVES", "GNUMAKEFLAGS", "MAKEFILES", "MAKELEVEL", "MFLAGS"),
}
_ENVIRONMENT = threading.RLock()  # the runners read os.environ, which all threads share


def is_foreign(variable: str) -> bool:
    """Whether an environment variable would change what a run does."""
    return variable in _FOREIGN or variable.startswith(_FOREIGN_PREFIXES)


class _Icarus(Icarus):
    def __init__(self, tool: Tool) -> None:
        self._tool = tool
        super().__init__()

    def _simulator_in_path(self) -> None:
        return

    def _build_command(self) -> list[list[str]]:
        (command,) = super()._build_command()
        return [[str(self._tool.compiler), *_relative(command[1:], self.build_dir)]]

    def _test_command(self) -> list[list[str]]:
        vpi = lib_entry("vpi", "icarus")
        format_ = "-fst" if self.waves else "-none"
        return [[str(self._tool.runtime), "-m", vpi, self.sim_file.name, *self.plusargs, format_]]


class _Verilator(Verilator):
    """Without ``marked``, every signal is public. With it, only those that the Verilog marks as public are.

    The latter builds a third faster and runs three times as fast.
    """

    def __init__(self, tool: Tool, *, marked: bool) -> None:
        self._tool = tool
        self._marked = marked
        super().__init__()

    def _simulator_in_path_build_only(self) -> None:
        self.executable = str(self._tool.compiler)

    def _build_command(self) -> list[list[str]]:
        verilate, make = (_relative(command, self.build_dir) for command in super()._build_command())
        verilate[verilate.index("-o") + 1] = PRODUCT[Simulator.VERILATOR]
        if self._marked:
            verilate.remove("--public-flat-rw")
        return [verilate, make]

    def _test_command(self) -> list[list[str]]:
        product = self.build_dir / PRODUCT[Simulator.VERILATOR]
        return [[str(product), *(["--trace"] if self.waves else []), *self.plusargs]]


def _relative(command: list[str], folder: Path) -> list[str]:
    """A command to run in ``folder``: compilers and make cannot handle the characters that its name may hold."""
    inside = f"{folder}{os.sep}"
    return [os.curdir if argument == str(folder) else argument.removeprefix(inside) for argument in command]


@contextmanager
def runner(simulator: Simulator, tool: Tool, *, marked: bool) -> Iterator[Runner]:
    """A runner of cocotb's that works while the block lasts; ``os.environ`` is as before afterwards.

    Parameters
    ----------
    simulator, tool
        What runs.
    marked : :class:`bool`
        The bench looks only at signals that the Verilog marks as public for Verilator.
    """
    with _ENVIRONMENT:
        before = dict(os.environ)
        try:
            for name in [name for name in before if is_foreign(name)]:
                del os.environ[name]
            os.environ.update(tool.environment)
            os.environ["COCOTB_ANSI_OUTPUT"] = "0"
            found = _Icarus(tool) if simulator is Simulator.ICARUS else _Verilator(tool, marked=marked)
            found.log.disabled = True
            yield found
        finally:
            for name in set(os.environ) - set(before):
                del os.environ[name]
            os.environ.update(before)
