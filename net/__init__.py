"""The contract between training, simulation and hardware: the integer network, its arithmetic and its file."""

from sterna.net.arithmetic import argmax, bits_for_range, check_input, clamp, quantize_input, shift_round, thresholds
from sterna.net.container import FileFormatError
from sterna.net.cost import LayerCost, entropy, layer_costs, nonzeros, weight_bits, zeros
from sterna.net.file import FORMAT_VERSION, load, save
from sterna.net.inputs import InputRule
from sterna.net.network import Network
from sterna.net.nodes import Add, Conv2d, Flatten, Linear, MaxPool2d, Node, SumNode, SumPool2d, WeightNode
from sterna.net.requantize import Requantization, ShiftRound, Thresholds
from sterna.net.types import AccumulatorType, ActivationType, ValueType

__all__ = [
    "FORMAT_VERSION",
    "AccumulatorType",
    "ActivationType",
    "Add",
    "Conv2d",
    "FileFormatError",
    "Flatten",
    "InputRule",
    "LayerCost",
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
    "argmax",
    "bits_for_range",
    "check_input",
    "clamp",
    "entropy",
    "layer_costs",
    "load",
    "nonzeros",
    "quantize_input",
    "save",
    "shift_round",
    "thresholds",
    "weight_bits",
    "zeros",
]
