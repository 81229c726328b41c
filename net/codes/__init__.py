"""Codes of matrices of few values: exact storage, products computed in the code, and what they cost (docs/codes.md)."""

from sterna.net.codes.base import Kind, MatrixCode
from sterna.net.codes.base3 import Base3
from sterna.net.codes.bitmap import Bitmap
from sterna.net.codes.bound import entropy_bound
from sterna.net.codes.cer import Cer
from sterna.net.codes.cser import Cser
from sterna.net.codes.csr import Csr
from sterna.net.codes.dense import Dense
from sterna.net.codes.estimate import estimate
from sterna.net.codes.file import CODE_FORMAT_VERSION, load_code, save_code
from sterna.net.codes.packed import Packed
from sterna.net.codes.plane import Measure, Plane, compute_plane, entropy_limits
from sterna.net.codes.quantize import quantize_uniform
from sterna.net.codes.registry import CODES, encode
from sterna.net.codes.report import CodeCost, MatrixCosts, Totals, matrix_costs, network_costs, network_matrices, total
from sterna.net.codes.run_length import RunLength
from sterna.net.codes.storage import ArrayStorage, Storage
from sterna.net.codes.weights import Weights, load_weights

__all__ = [
    "CODES",
    "CODE_FORMAT_VERSION",
    "ArrayStorage",
    "Base3",
    "Bitmap",
    "Cer",
    "CodeCost",
    "Cser",
    "Csr",
    "Dense",
    "Kind",
    "MatrixCode",
    "MatrixCosts",
    "Measure",
    "Packed",
    "Plane",
    "RunLength",
    "Storage",
    "Totals",
    "Weights",
    "compute_plane",
    "encode",
    "entropy_bound",
    "entropy_limits",
    "estimate",
    "load_code",
    "load_weights",
    "matrix_costs",
    "network_costs",
    "network_matrices",
    "quantize_uniform",
    "save_code",
    "total",
]
