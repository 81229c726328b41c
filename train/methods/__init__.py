"""Training methods: what makes weights ternary and sparse. One class a method, one line of the recipe to choose it."""

from sterna.train.methods.base import Method, MethodOptions, Schedule, Stage, Target
from sterna.train.methods.magnitude import Magnitude
from sterna.train.methods.references import Float, Ttq, Twn
from sterna.train.methods.sca import Sca
from sterna.train.methods.sparsity_induced import SparsityInduced
from sterna.train.methods.targets import Balance, ZerosScope

METHODS: dict[str, type[Method]] = {
    method.name: method for method in (SparsityInduced, Sca, Magnitude, Twn, Ttq, Float)
}

__all__ = ["METHODS", "Balance", "Method", "MethodOptions", "Schedule", "Stage", "Target", "ZerosScope"]
