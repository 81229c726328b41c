"""Products computed in the code: exact, by NumPy and compiled, against Python's own numbers."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrices import CORNERS, EXAMPLE, is_ternary, matrices, naive_product

from sterna.codes import CODES, Base3, Bitmap, Cer, Cser, Dense, RunLength, products
from sterna.net.errors import ToolError

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]
EVERY_CODE = pytest.mark.parametrize("code", CODES.values(), ids=list(CODES))
FLOATS_TOO = (np.int32, np.float32, np.float64)
COMPILED = (np.int64, np.float32)  # what the default tests compile, several vectors in int64 only: it takes its time
TERNARY = np.random.default_rng(7).choice([-1, 0, 1], size=(60, 517), p=[0.1, 0.8, 0.1]).astype(np.int8)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads of small products would wait for other work on the machine."""
    numba = pytest.importorskip("numba")
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


def operands(columns, rng, dtype):
    """A vector and a matrix whose products are exact in float32."""
    return [rng.integers(-20, 21, size=shape).astype(dtype) for shape in ((columns,), (columns, 3), (columns, 0))]


def is_exact(coded, matrix, x, compiled):
    result = (coded.matvec if x.ndim == 1 else coded.matmat)(x, compiled=compiled)
    assert result.shape == (matrix.shape[0], *x.shape[1:])
    wanted = naive_product(matrix, x) if x.ndim == 1 else [naive_product(matrix, column) for column in x.T]
    assert (result if x.ndim == 1 else result.T).tolist() == wanted, (coded, x.dtype, compiled)
    return result


def products_are_exact(code, matrix, rng, compiled, dtypes, many):
    """Products with vectors of all dtypes, and with several vectors of those in ``many``."""
    if code is Base3 and not is_ternary(matrix):
        return
    coded = code.encode(matrix)
    for dtype in dtypes:
        for x in operands(matrix.shape[1], rng, dtype):
            if x.ndim == 1 or dtype in many:
                is_exact(coded, matrix, x, compiled)


def all_products_are_exact(matrix, *arguments):
    for code in CODES.values():
        products_are_exact(code, matrix, *arguments)


@EVERY_CODE
@pytest.mark.parametrize("compiled", [False, True])
def test_corners(code, compiled):
    for matrix in CORNERS.values():
        if not compiled or matrix.dtype.kind != "f":
            products_are_exact(code, matrix, np.random.default_rng(0), compiled, COMPILED, COMPILED[:1])


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(matrix=matrices(exact=True), seed=st.integers(0, 2**32 - 1))
def test_random_matrices_by_numpy(matrix, seed):
    all_products_are_exact(matrix, np.random.default_rng(seed), False, FLOATS_TOO, FLOATS_TOO)


@settings(max_examples=40, deadline=None, suppress_health_check=CHECKS)
@given(matrix=matrices(exact=True), seed=st.integers(0, 2**32 - 1))
def test_random_matrices_compiled(matrix, seed):
    if matrix.dtype.kind != "f":
        all_products_are_exact(matrix, np.random.default_rng(seed), True, COMPILED, COMPILED[:1])


@pytest.mark.slow
@pytest.mark.timeout(1500)
@settings(max_examples=2000, deadline=None, suppress_health_check=CHECKS)
@given(matrix=matrices(exact=True), seed=st.integers(0, 2**32 - 1))
def test_many_random_matrices(matrix, seed):
    for compiled in (False, True):
        all_products_are_exact(matrix, np.random.default_rng(seed), compiled, FLOATS_TOO, FLOATS_TOO)


@EVERY_CODE
@pytest.mark.parametrize(
    "dtype", ["int8", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]
)
def test_every_operand(code, dtype):
    x = (np.arange(517) % 5).astype(dtype)
    result = is_exact(code.encode(TERNARY), TERNARY, x, False)
    assert result.dtype == ("int64" if x.dtype.kind in "iu" else "float64" if dtype == "float64" else "float32")


@pytest.mark.parametrize(
    ("matrix", "operand", "result"),
    [
        ("int8", "int8", "int64"),
        ("int8", "float32", "float32"),
        ("float16", "float16", "float32"),
        ("float32", "float64", "float64"),
        ("float64", "float32", "float64"),
        ("float32", "int8", "float64"),
    ],
)
def test_dtypes_of_results(matrix, operand, result):
    for code in CODES.values():
        product = code.encode(np.eye(2, dtype=matrix)).matvec(np.ones(2, dtype=operand))
        assert (product.dtype, product.tolist()) == (result, [1, 1])


@EVERY_CODE
def test_operands_in_any_memory_order(code):
    coded = code.encode(TERNARY)
    x = np.arange(517 * 4).reshape(4, 517) % 7
    wanted = (TERNARY.astype(int) @ x.T).tolist()
    for operand in (x.T, np.asfortranarray(x.T), np.ascontiguousarray(x.T), x.T.astype(">i4")):
        for compiled in (False, True):
            assert coded.matmat(operand, compiled=compiled).tolist() == wanted
    assert coded.matvec(x[::2][1]).tolist() == [row[2] for row in wanted]


@EVERY_CODE
def test_sums_modulo_2_to_64_are_exact_where_they_fit(code):
    """Differences from the background and partial sums leave 64 bits; the result does not."""
    if code is Base3:
        return
    big = 2**61
    matrix = np.array([[-big, -big, big], [big, 3, -big]], dtype=np.int64)
    for compiled in (False, True):
        assert code.encode(matrix).matvec([1, -1, 1], compiled=compiled).tolist() == [big, -3]


@EVERY_CODE
def test_sums_that_might_not_fit_are_refused(code):
    coded = code.encode(np.array([[1, -1]], dtype=np.int64))
    assert coded.matvec([2**62 - 1, -(2**62) + 1]).tolist() == [2**63 - 2]
    with pytest.raises(
        ValueError, match=r"^sums of up to 9223372036854775808 do not fit 64 bits; multiply floats instea"
    ):
        coded.matvec([2**62, 0])
    with pytest.raises(ValueError, match=r"^x must be below 2\^63, not 9223372036854775808$"):
        coded.matvec(np.array([2**63, 0], dtype=np.uint64))
    assert coded.matvec([2.0**70, 0.0]).tolist() == [2.0**70]


def test_values_too_far_apart_for_the_operand():
    matrix = np.array([[1e308, 1e308, -1e308]])
    for code in (Bitmap, RunLength, Cer, Cser):
        with pytest.raises(ValueError, match=r"^values of the matrix differ by more than float64 holds$"):
            code.encode(matrix).matvec([1.0, 0.0, 0.0])
    assert Dense.encode(matrix).matvec([1.0, 0.0, 0.0]).tolist() == [1e308]


@EVERY_CODE
@pytest.mark.parametrize(
    ("method", "x", "kind", "message"),
    [
        ("matvec", [1, 2], ValueError, r"x must have shape \(3,\), not \(2,\)"),
        ("matvec", [[1, 2, 3]], ValueError, r"x must have shape \(3,\), not \(1, 3\)"),
        ("matmat", [1, 2, 3], ValueError, r"x must have shape \(3, any\), not \(3,\)"),
        ("matmat", np.ones((2, 3)), ValueError, r"x must have shape \(3, any\), not \(2, 3\)"),
        ("matvec", [True] * 3, TypeError, "x must hold integers, or floats of 16, 32 or 64 bits, not bool"),
        ("matvec", ["a"] * 3, TypeError, "x must hold integers, or floats of 16, 32 or 64 bits, not <U1"),
        ("matvec", [0, np.nan, 0], ValueError, r"x must be finite, not nan at \[1\]"),
        ("matmat", [[0.0], [0.0], [np.inf]], ValueError, r"x must be finite, not inf at \[2, 0\]"),
    ],
)
def test_wrong_operands(code, method, x, kind, message):
    coded = code.encode(np.eye(3, dtype=np.int8))
    with pytest.raises(kind, match=f"^{message}$"):
        getattr(coded, method)(x)


def test_compiled_must_be_a_truth():
    with pytest.raises(TypeError, match=r"^compiled must be True, False or None, not 1$"):
        Cer.encode(EXAMPLE).matvec(np.ones(12), compiled=1)


def test_without_numba(monkeypatch):
    monkeypatch.setattr(products, "has_numba", lambda: False)
    monkeypatch.setattr(products, "kernels", None)
    with pytest.raises(ToolError, match=r"^compiled products need numba; install it: pip install 'sterna\[codes\]'$"):
        Cer.encode(EXAMPLE).matvec(np.ones(12), compiled=True)
    large = np.eye(300, dtype=np.int8)
    assert Cer.encode(large).matvec(np.arange(300)).tolist() == list(range(300))


def test_numba_is_imported_for_large_products_only():
    code = """if True:
        import sys
        import numpy as np, sterna.net, sterna.codes as codes
        matrix = codes.encode(np.eye(300, dtype=np.int8), "cer")
        codes.encode(np.eye(3, dtype=np.int8), "cer").matvec(np.ones(3))
        print("numba" in sys.modules, "scipy" in sys.modules)
        matrix.matvec(np.arange(300))
        print("numba" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]


@EVERY_CODE
def test_threads_share_the_rows(code):
    import numba

    rng = np.random.default_rng(3)
    matrix = rng.choice([-1, 0, 1], size=(301, 1000), p=[0.05, 0.9, 0.05]).astype(np.int8)
    x = rng.integers(-1000, 1000, size=1000)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    try:
        result = code.encode(matrix).matvec(x)
    finally:
        numba.set_num_threads(1)
    assert result.tolist() == (scipy.sparse.csr_array(matrix.astype(np.int64)) @ x).tolist()


def test_float_rounding_is_that_of_float32():
    rng = np.random.default_rng(4)
    matrix = rng.choice([-1, 0, 1], size=(40, 2000), p=[0.3, 0.4, 0.3]).astype(np.int8)
    x = rng.standard_normal(2000).astype(np.float32)
    wanted = matrix.astype(np.float64) @ x.astype(np.float64)
    bound = 2000 * np.finfo(np.float32).eps * np.abs(x).sum()
    for code in CODES.values():
        for compiled in (False, True):
            assert np.abs(code.encode(matrix).matvec(x, compiled=compiled) - wanted).max() < bound


def test_both_ways_to_deal_bits():
    from sterna.codes import kernels

    rng = np.random.default_rng(5)
    for bits in (0.0, 0.1, 0.5, 1.0):
        mask = int.from_bytes(np.packbits(rng.random(64) < bits).tobytes(), "little")
        source = int(rng.integers(0, 2**64, dtype=np.uint64))
        places = [i for i in range(64) if mask >> i & 1]
        wanted = sum((source >> k & 1) << place for k, place in enumerate(places))
        assert _deal_plain()(np.uint64(source), np.uint64(mask)) == wanted
        if kernels.HAS_BMI2:
            assert _deal_bmi2()(np.uint64(source), np.uint64(mask)) == wanted


def _deal_plain():
    from numba import njit

    from sterna.codes.kernels import deposit_plain

    return njit(lambda source, mask: deposit_plain(source, mask))


def _deal_bmi2():
    from numba import njit

    from sterna.codes.kernels import deposit_bmi2

    return njit(lambda source, mask: deposit_bmi2(source, mask))


def test_kernels_compile_where_nothing_can_be_written(tmp_path):
    """No home, and an installation of somebody else's: numba has no folder for its cache. Files stand for folders that
    cannot be made, since nothing is closed to root."""
    kernels = products.kernels()
    shutil.copy(kernels.__file__, tmp_path / "kernels.py")
    (tmp_path / "__pycache__").touch()
    closed = str(tmp_path / "__pycache__" / "home")
    environment = {**os.environ, "HOME": closed, "XDG_CACHE_HOME": closed, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("NUMBA_CACHE_DIR", None)
    code = (
        "import numpy, kernels; from sterna.codes.products import frozen; out = numpy.zeros(2, int); "
        "kernels.dense(frozen(numpy.arange(6).reshape(2, 3)), frozen(numpy.ones(3, int)), out); "
        "print(out.tolist(), kernels.dense.stats.cache_path)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[3, 12] None\n"
    assert done.stderr == ""
    assert kernels.dense.stats.cache_path is not None
