"""Finds and runs the synthesis tools: YoWASP's from PyPI, or native ones that environment variables name."""

from __future__ import annotations

import enum
import os
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from sterna.net.errors import ToolError

__all__ = ["Tool", "find_tool", "run_tool", "tool_version"]


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
        words = shlex.split(variable)
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


def run_tool(tool: Tool, arguments: Sequence[str], *, cwd: Path, log: str) -> None:
    """Run ``tool`` in the folder ``cwd``, and keep what it prints there in the file ``log``.

    File names among the arguments have to be relative and below ``cwd``: YoWASP's tools see nothing else.

    Raises
    ------
    ToolError
        If the tool is missing or fails; the message carries the tool's own last error line.
    """
    command = [*find_tool(tool), *arguments]
    with open(cwd / log, "w", encoding="utf-8") as output:
        status = subprocess.run(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        ).returncode
    if status:
        lines = (cwd / log).read_text(encoding="utf-8", errors="replace").splitlines()
        errors = [line for line in lines if "ERROR" in line] or [line for line in lines if line.strip()]
        reason = errors[-1].strip() if errors else f"exit status {status}"
        raise ToolError(f"{Path(command[0]).name} failed: {reason}")


@cache
def _version(command: tuple[str, ...]) -> str:
    result = subprocess.run(
        [*command, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
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
