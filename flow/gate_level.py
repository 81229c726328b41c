"""A mapped netlist as Verilog, for gate-level simulation."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from sterna.flow.devices import Family
from sterna.flow.netlist import read_netlist
from sterna.flow.toolchain import Tool, run_tool
from sterna.net.container import replacing

__all__ = ["write_gates"]

# What Yosys knows about the behavior of each family's cells. It would unroll a loop over all words of the SPRAM, which
# with EQUIV is left out.
_CELLS = {
    Family.ICE40: ["read_verilog -overwrite -D EQUIV +/ice40/cells_sim.v", "blackbox SB_SPRAM256KA"],
    Family.ECP5: ["read_verilog -overwrite +/ecp5/cells_sim.v"],
}


def write_gates(netlist: Path, verilog: Path, *, top: str, family: Family) -> None:
    """Write a mapped netlist as Verilog, with the behavior of its cells.

    Cells behave as Yosys describes them, but for ECP5's block RAM and iCE40's SPRAM: they take other files, with the
    modules ``DP16KD`` and ``SB_SPRAM256KA``.

    Parameters
    ----------
    netlist : Path
        ``mapped.json`` of :func:`sterna.flow.synth.synthesize`.
    verilog : Path
        File to write.
    top : str
        Name of the top module.
    family : Family

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    script = [
        "read_json mapped.json",
        *_CELLS[family],
        f"hierarchy -check -top {top}",
        "proc",
        "write_verilog -noattr gates.v",
        "",
    ]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        # The cells in the netlist are black boxes to Yosys.
        boxes = {"blackbox", "whitebox"}
        design = {name: module for name, module in read_netlist(netlist).items() if not boxes & {*module["attributes"]}}
        (work / "mapped.json").write_text(json.dumps({"modules": design}), encoding="utf-8")
        (work / "gates.ys").write_text("\n".join(script), encoding="utf-8")
        run_tool(Tool.YOSYS, ["-q", "-s", "gates.ys"], cwd=work, log="yosys.log")
        with replacing(Path(verilog)) as beside:
            shutil.copyfile(work / "gates.v", beside)
