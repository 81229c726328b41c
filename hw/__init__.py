"""Makes hardware of a network: schedule, Amaranth components, Verilog, synthesis with open tools."""

from sterna.hw.config import AcceleratorConfig
from sterna.hw.emit.verilog import generate
from sterna.hw.graph.lower import UnsupportedError
from sterna.hw.graph.plan import AcceleratorPlan, plan_accelerator

__all__ = ["AcceleratorConfig", "AcceleratorPlan", "UnsupportedError", "generate", "plan_accelerator"]
