"""Makes hardware of a network: schedule, Amaranth components, Verilog, synthesis with open tools."""

from sterna.hw.config import AcceleratorConfig
from sterna.hw.emit.loading import load_design, load_stream
from sterna.hw.emit.verilog import generate
from sterna.hw.fit.estimate import Budget
from sterna.hw.fit.kinds import fit_kinds
from sterna.hw.fit.search import DeviceTooSmall, Fit, fit_device
from sterna.hw.graph.lower import UnsupportedError
from sterna.hw.graph.plan import AcceleratorPlan, input_stream, plan_accelerator
from sterna.hw.graph.stream import StreamType

__all__ = [
    "AcceleratorConfig",
    "AcceleratorPlan",
    "Budget",
    "DeviceTooSmall",
    "Fit",
    "StreamType",
    "UnsupportedError",
    "fit_device",
    "fit_kinds",
    "generate",
    "input_stream",
    "load_design",
    "load_stream",
    "plan_accelerator",
]
