"""Training: quantizers, methods, recipes, data sets, and an export that proves itself.

Imports torch, :mod:`sterna.net` and :mod:`sterna.sim.golden`; nothing else of Sterna.
"""

from sterna.train.api import RunResult, run

__all__ = ["RunResult", "run"]
