"""Writes an accelerator as NAME.v, and what others must know about it as NAME.json."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
from pathlib import Path

from amaranth.back import verilog

from sterna.hw.config import AcceleratorConfig
from sterna.hw.emit.accelerator import Accelerator
from sterna.hw.emit.describe import describe
from sterna.hw.graph.plan import AcceleratorPlan, plan_accelerator
from sterna.net import Network
from sterna.net.container import write_text
from sterna.net.errors import ToolError


def generate(network: Network, directory: str | os.PathLike[str], *, config: AcceleratorConfig | None = None) -> Path:
    """Emits an accelerator.

    The same network and configuration give the same bytes, from any folder. Both files are written beside their
    places and renamed, so that a failure leaves nothing half-written.

    Parameters
    ----------
    network : Network
    directory : path
        Made if it is not there.
    config : AcceleratorConfig, optional

    Returns
    -------
    Path
        The description, ``directory/NAME.json``; the Verilog is beside it.

    Raises
    ------
    UnsupportedError, ValueError
        If there is no hardware for the network, or the configuration does not fit it.
    ToolError
        If Amaranth finds no Yosys, or it fails.
    OSError
        If the folder cannot be written.
    """
    plan = plan_accelerator(network, config or AcceleratorConfig())
    text = emit_verilog(plan)
    description = describe(plan, verilog_sha256=hashlib.sha256(text.encode()).hexdigest())
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{plan.name}.v", text)
    path = folder / f"{plan.name}.json"
    write_text(path, json.dumps(description, indent=1) + "\n")
    return path


def emit_verilog(plan: AcceleratorPlan) -> str:
    """Verilog of an accelerator."""
    try:
        text: str = verilog.convert(Accelerator(plan), name=plan.name, emit_src=False, strip_internal_attrs=True)
    except verilog.YosysError as error:
        reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), "it says nothing")
        raise ToolError(f"the Yosys that Amaranth writes Verilog with failed: {reason.strip()}") from error
    for name in plan.unit_names:
        if not re.search(rf"^ *\\{re.escape(plan.name)}\.{name} +{name} \(", text, re.M):
            raise RuntimeError(f"unit {name} has another name in the Verilog")  # NAME.json would be wrong
    header = (
        f"// {plan.name}: made by `sterna generate` {importlib.metadata.version('sterna')} from the network\n"
        f"// {plan.network.digest}\n"
    )
    return header + text
