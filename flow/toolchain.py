"""Finds and runs the synthesis tools: YoWASP's from PyPI, or native ones that environment variables name."""

from __future__ import annotations

import enum
import os
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sterna.net.errors import ToolError

__all__ = ["Run", "Tool", "find_tool", "run_tool", "run_tools", "tool_version"]

_LOOK_SECONDS = 0.02  # between two looks at processes
_FULL_BYTES = 65536  # with fewer left, no tool gets far


class Tool(enum.Enum):
    """A tool of the flow; the value is the environment variable that names a native one."""

    YOSYS = "YOSYS"
    NEXTPNR_ICE40 = "NEXTPNR_ICE40"
    NEXTPNR_ECP5 = "NEXTPNR_ECP5"
    ICEPACK = "ICEPACK"
    ECPPACK = "ECPPACK"

    @property
    def command(self) -> str:
        """The name of YoWASP's build of the tool."""
        return "yowasp-" + self.value.lower().replace("_", "-")

    @property
    def distribution(self) -> str:
        """The package on PyPI that holds YoWASP's build of the tool."""
        if self is Tool.ICEPACK:
            return Tool.NEXTPNR_ICE40.command
        if self is Tool.ECPPACK:
            return Tool.NEXTPNR_ECP5.command
        return self.command


def find_tool(tool: Tool) -> list[str]:
    """The command that runs ``tool``, as the first words of an argument list.

    The environment variable of the tool's name is used if it is set and not empty; else YoWASP's build, looked for
    beside the running Python and then on PATH (a virtual environment need not be activated).

    Raises
    ------
    ToolError
        If there is none. The message says what to install or which variable to set.
    """
    variable = os.environ.get(tool.value, "")
    if variable:
        try:
            words = shlex.split(variable)
        except ValueError as error:  # quotation marks that do not match
            raise ToolError(f"the variable {tool.value} holds {variable!r}: {error}; correct or unset it") from None
        if not words:
            raise ToolError(f"the variable {tool.value} holds {variable!r}, which names no tool; correct or unset it")
        found = shutil.which(words[0])
        if found is None:
            raise ToolError(f"the variable {tool.value} names {words[0]!r}, which cannot be run; correct or unset it")
        return [found, *words[1:]]
    found = shutil.which(tool.command, path=sysconfig.get_path("scripts")) or shutil.which(tool.command)
    if found is None:
        native = tool.value.lower().replace("_", "-")
        raise ToolError(
            f"{tool.command} is missing; install it with `pip install {tool.distribution}`, "
            f"or set {tool.value} to the path of a native {native}"
        )
    return [found]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One call of a tool.

    Attributes
    ----------
    arguments : sequence of str
        File names among them have to be relative and below the folder that it runs in: YoWASP's tools see nothing else.
    log : str
        The file in that folder that gets what the tool prints.
    """

    arguments: Sequence[str]
    log: str


def run_tool(tool: Tool, arguments: Sequence[str], *, cwd: Path, log: str) -> None:
    """Run ``tool`` once; see :func:`run_tools`."""
    run_tools(tool, [Run(arguments=arguments, log=log)], cwd=cwd)


def run_tools(tool: Tool, runs: Iterable[Run], *, cwd: Path, at_once: int = 1) -> None:
    """Run ``tool`` in the folder ``cwd`` several times, ``at_once`` at a time.

    Whatever ends this early, an error or Ctrl-C, also ends the processes. Their own temporary files lie in ``cwd``, and
    go in any case.

    Raises
    ------
    ToolError
        If the tool is missing or fails; the message carries the tool's own error line.
    """
    command = find_tool(tool)
    waiting, running = list(runs), list[tuple[Run, subprocess.Popen[bytes]]]()
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=cwd, ignore_cleanup_errors=True) as temporary:
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    run = waiting.pop(0)
                    running.append((run, _start([*command, *run.arguments], cwd, run.log, temporary)))
                ended = [(run, process) for run, process in running if process.poll() is not None]
                for run, process in ended:
                    _check(Path(command[0]).name, process.returncode, cwd / run.log)
                    running.remove((run, process))
                if not ended:
                    time.sleep(_LOOK_SECONDS)
        finally:
            _stop([process for _, process in running])


def _start(command: Sequence[str], cwd: Path, log: str, temporary: str) -> subprocess.Popen[bytes]:
    with open(cwd / log, "w", encoding="utf-8") as output:
        return subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "TMPDIR": os.path.abspath(temporary)},
        )


def _check(name: str, status: int, log: Path) -> None:
    if status:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        errors = [line for line in lines if "ERROR" in line] or [line for line in lines if line.strip()]
        # A tool cannot say that the disk is full, where what it says goes to that disk.
        silent = "the disk is full" if shutil.disk_usage(log.parent).free < _FULL_BYTES else f"exit status {status}"
        # nextpnr goes on to say which of its steps failed ("Packing design failed."): the reason comes first. A
        # traceback ends in it.
        reason = errors[0 if "ERROR" in errors[0] else -1].strip() if errors else silent
        raise ToolError(f"{name} failed: {reason}")


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


@cache
def _version(command: tuple[str, ...]) -> str:
    result = subprocess.run(
        [*command, "--version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    # Yosys: "Yosys 0.70 (git sha1 28ba3cb92, Release, ...)"; nextpnr: '"nextpnr-ecp5" -- ... (Version nextpnr-0.11.1)'.
    for line in (result.stdout + result.stderr).splitlines():
        name, bracket, rest = line.partition(" (")
        if bracket:
            detail = rest.split(",")[0].rstrip(")")
            return detail.removeprefix("Version ") if "--" in name else f"{name} ({detail})"
    return "unknown"


def tool_version(tool: Tool) -> str:
    """What ``tool --version`` says, in one line."""
    return _version(tuple(find_tool(tool)))
