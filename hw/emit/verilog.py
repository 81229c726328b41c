"""Writes an accelerator as NAME.v, what others must know about it as NAME.json, and what it loads as NAME.load.bin."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
from pathlib import Path
from typing import Any

from amaranth.back import verilog

from sterna.hw.config import AcceleratorConfig
from sterna.hw.emit.accelerator import Accelerator
from sterna.hw.emit.describe import describe
from sterna.hw.emit.loading import load_words
from sterna.hw.graph.plan import AcceleratorPlan, plan_accelerator
from sterna.hw.parts.loadable import SINGLE_PORT
from sterna.net import Network
from sterna.net.container import replacing, write_text
from sterna.net.errors import ToolError


def generate(network: Network, directory: str | os.PathLike[str], *, config: AcceleratorConfig | None = None) -> Path:
    """Emits an accelerator.

    The same network and configuration give the same bytes, from any folder. All files are written beside their places
    and renamed, so that a failure leaves nothing half-written.

    Parameters
    ----------
    network : Network
    directory : path
        Made if it is not there.
    config : AcceleratorConfig, optional

    Returns
    -------
    Path
        The description, ``directory/NAME.json``; beside it are the Verilog and, where words are loaded, their bytes in
        the order of the load port (``NAME.load.bin``).

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
    load = load_words(plan)
    description = describe(plan, verilog_sha256=hashlib.sha256(text.encode()).hexdigest(), load=load)
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{plan.name}.v", text)
    words, path = folder / f"{plan.name}.load.bin", folder / f"{plan.name}.json"
    if load:
        with replacing(words) as beside:
            beside.write_bytes(load)
    else:
        words.unlink(missing_ok=True)
    write_text(path, json.dumps(description, indent=1) + "\n")
    return path


def to_verilog(component: Any, *, name: str) -> str:
    """Verilog of a component, its module called ``name``: the same bytes from any folder.

    Raises
    ------
    ToolError
        If Amaranth finds no Yosys, or it fails.
    """
    try:
        text = str(verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True))
    except verilog.YosysError as error:
        reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), "it says nothing")
        raise ToolError(f"the Yosys that Amaranth writes Verilog with failed: {reason.strip()}") from error
    return _without_initial_words(text)


def emit_verilog(plan: AcceleratorPlan) -> str:
    """Verilog of an accelerator."""
    text = to_verilog(Accelerator(plan), name=plan.name)
    for name in plan.unit_names:
        if not re.search(rf"^ *\\{re.escape(plan.name)}\.{name} +{name} \(", text, re.M):
            raise RuntimeError(f"unit {name} has another name in the Verilog")  # NAME.json would be wrong
    header = (
        f"// {plan.name}: made by `sterna generate` {importlib.metadata.version('sterna')} from the network\n"
        f"// {plan.network.digest}\n"
    )
    return header + text


def _without_initial_words(text: str) -> str:
    """The Verilog without initial values of the memories that are loaded: Amaranth gives some to every memory."""
    (mark,) = SINGLE_PORT
    memory = rf"(  \(\* {mark} = 32'd1 \*\)\n  reg \[\d+:0\] \S+ \[\d+:0\];\n)"
    values = r"  initial begin\n(?: +\S+\[\d+\] = \S+;\n)+  end\n"
    count = text.count(f"(* {mark} = 32'd1 *)")
    text, found = re.subn(memory + values, r"\1", text)
    if found != count:
        raise RuntimeError(f"{count - found} of {count} loaded memories kept their initial words in the Verilog")
    return text
