"""The contract between training, simulation and hardware: the integer network, its arithmetic and its file."""

from sterna.net.network import Network
from sterna.net.nodes import Add, Conv2d, Flatten, Linear, MaxPool2d, Node, SumNode, SumPool2d, WeightNode
from sterna.net.requantize import Requantization, ShiftRound, Thresholds
from sterna.net.types import AccumulatorType, ActivationType, ValueType

__all__ = [
    "AccumulatorType",
    "ActivationType",
    "Add",
    "Conv2d",
    "Flatten",
    "Linear",
    "MaxPool2d",
    "Network",
    "Node",
    "Requantization",
    "ShiftRound",
    "SumNode",
    "SumPool2d",
    "Thresholds",
    "ValueType",
    "WeightNode",
]
