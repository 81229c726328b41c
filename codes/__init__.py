"""Codes of matrices of few values: exact storage, products computed in the code, and what they cost (docs/codes.md)."""

from sterna.codes.base import Kind, MatrixCode
from sterna.codes.base3 import Base3
from sterna.codes.bitmap import Bitmap
from sterna.codes.bound import entropy_bound
from sterna.codes.cer import Cer
from sterna.codes.cser import Cser
from sterna.codes.csr import Csr
from sterna.codes.dense import Dense
from sterna.codes.estimate import estimate
from sterna.codes.file import CODE_FORMAT_VERSION, load_code, save_code
from sterna.codes.packed import Packed
from sterna.codes.plane import Measure, Plane, compute_plane, entropy_limits
from sterna.codes.quantize import quantize_uniform
from sterna.codes.registry import CODES, encode
from sterna.codes.report import CodeCost, MatrixCosts, Totals, matrix_costs, network_costs, network_matrices, total
from sterna.codes.run_length import RunLength
from sterna.codes.storage import ArrayStorage, Storage
from sterna.codes.weights import Weights, load_weights

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
