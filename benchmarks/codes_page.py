"""The sections of docs/results.md on matrix codes, made from the benchmarks' JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import codes_reach
from codes_reach import TARGETS, is_sparse, show
from tables import percent, table

_CODES = ("csr", "cer", "cser")
_ORDER = "CSR / CER / CSER"


def speed(result: Mapping[str, Any]) -> str:
    """Products with one vector."""
    products = sorted(result["products"].items(), key=lambda item: item[1]["best_ms"])
    rows = [
        [
            f"`{name}`",
            f"{time['best_ms']:.3f}",
            f"{time['median_ms']:.3f}",
            f"{time['against_dense_loop']:.2f}",
            f"{time['against_scipy_csr']:.2f}",
            f"{time['bits_per_element']:.3f}" if "bits_per_element" in time else "",
        ]
        for name, time in products
    ]
    rows.append(["must / aim, best code", "", "", "1.7 / 6", "1.0 / 1.5", ""])
    header = ["product", "best, ms", "median, ms", "times faster than `dense`", "than `scipy_csr`", "bits an element"]
    side, simd = result["side"], result["dense_loop_simd"]
    found = ", ".join(f"{count} `{name}`" for name, count in simd.items()) or "**none**"
    return (
        f"## Products in the codes, {side} × {side}, {percent(result['zeros'], 0)} zeros, ternary, one vector\n\n"
        + table(header, rows)
        + f"\n`dense` is a plain compiled loop over single-precision weights; packed instructions in its machine code: "
        f"{found}. `numpy_dense` is BLAS, `scipy_csr` scipy's product. {_threads(result['threads'])} (scipy's CSR has "
        f"one only), {result['rounds']} rounds in turns, matrix drawn with seed {result['seed']}.\n"
    )


def _threads(count: int) -> str:
    return f"{count} thread" + ("s" if count > 1 else "")


def study(result: Mapping[str, Any]) -> str:
    """All parts of the study that are there."""
    parts = result["parts"]
    sections = {
        "example": lambda: _example(parts["example"]),
        "architectures": lambda: _drawn(parts["architectures"], _times(parts, "one")),
        "weights": lambda: _trained(parts["weights"], parts),
        "times": lambda: _timing(parts["times"]),
    }
    made = []
    for name, section in sections.items():
        if name in parts:
            command = parts[name]["command"]
            made.append(section() + (f"\nThis part: `{command}`.\n" if command != result["command"] else ""))
    reached = codes_reach.section(parts)
    return "## Matrix codes: what they gain\n\n" + "\n".join([*made, *([reached] if reached else [])])


def _times(parts: Mapping[str, Any], kind: str) -> dict[str, dict[str, float]]:
    """Gains in time by network or case: ``"one"`` input or ``"batch"``."""
    return {key: entry[kind]["gains"] for key, entry in parts.get("times", {"cases": {}})["cases"].items()}


def _example(part: Mapping[str, Any]) -> str:
    wanted = part["wanted_entries"]
    rows = [[f"`{code}`", wanted[code], found] for code, found in part["entries"].items()]
    equal = all(part["arrays"].values())
    return (
        "### The worked example\n\n"
        + table(["code", "entries wanted", "entries stored"], rows)
        + f"\nAll arrays of CER and CSER on the worked examples of docs/codes.md {'are' if equal else '**are not**'} "
        "what they must be.\n"
    )


def _drawn(part: Mapping[str, Any], times: Mapping[str, Mapping[str, float]]) -> str:
    networks = part["networks"]
    statistics = [
        [
            name,
            len(made["layers"]),
            f"{made['elements']:,}",
            f"{made['rows']:,}",
            f"{made['wanted']['p0']} / {made['reached']['p0']:.4f}",
            f"{made['wanted']['entropy']} / {made['reached']['entropy']:.4f}",
            f"{made['wanted']['groups']} / {made['reached']['groups']:.2f}",
            f"{made['reached']['empty_groups']:.2f}",
            f"{made['freedom']:.1f}",
        ]
        for name, made in networks.items()
    ]
    header = ["shapes of", "matrices", "elements", "rows", "p0", "entropy", "k̄", "k̃", "degrees of freedom"]
    equal = part["equal"]
    packed = sorted(made["packed_gain"] for made in networks.values())
    return (
        "### Drawn matrices with the shapes of four architectures\n\n"
        + table(header, statistics)
        + "\nWanted and reached: the share p0 of the most frequent value, the entropy in bits an element, the mean "
        "groups k̄ of a row (k̃: empty ones, in CER). **The wanted ones, and the gains called remembered, are those "
        "of Wiedemann, Müller and Samek 2018 as remembered: its text was not at hand, and nothing here repeats it.** "
        "Elements are independent: 127 values, one of them 0 with the share p0, the others by Student's t "
        "distribution, scale and degrees of freedom solved for entropy and k̄, the same for all layers of a network; "
        f"seed {part['seed']}. AlexNet's statistics are those of a pruned network.\n\n"
        + table(*_drawn_gains(networks, times))
        + "\nGains over 32-bit dense. Values take 32 bits, an index array the smallest of 8, 16 and 32 bits that "
        "holds it; the bits stored for each matrix and code "
        + ("equal" if equal else "**DO NOT EQUAL**")
        + " the formulas of docs/codes.md to the bit (must). The aim is a storage gain of CER and CSER within 5 % of "
        f"the remembered one: {_near(networks)}. In the column beside, no column index has less than 16 bits. "
        "Operations and energy count every layer once a place of its map, for one image of 3 × 224 × 224: there it "
        "matters that layers of real networks differ, while all of a drawn one are alike, and energy jumps where an "
        f"array just fits a smaller memory. Plain packing into 7 bits gains {show(packed[0])} to {show(packed[-1])} in "
        "storage.\n"
    )


def _near(networks: Mapping[str, Any]) -> str:
    """How many storage gains of CER and CSER are as near as is aimed at."""
    distances = [
        abs(made["gains"][code]["storage"] / gain - 1)
        for made in networks.values()
        for code, gain in zip(_CODES, made["remembered"].get("storage", ()), strict=False)
        if code != "csr"
    ]
    return f"{sum(distance <= 0.05 for distance in distances)} of {len(distances)} are"


def _drawn_gains(
    networks: Mapping[str, Any], times: Mapping[str, Mapping[str, float]]
) -> tuple[list[str], list[list[object]]]:
    """Header and rows of the gains beside the remembered ones."""
    rows: list[list[object]] = []
    for name, made in networks.items():
        for number, (code, gains) in enumerate(made["gains"].items()):
            known = {figure: show(gain[number]) for figure, gain in made["remembered"].items()}
            away = percent(gains["storage"] / made["remembered"]["storage"][number] - 1, 1) if known else ""
            rows.append([name, f"`{code}`", _bold(gains["storage"], "storage"), known.get("storage", ""), away])
            rows[-1].append(show(gains["storage_of_wide_columns"]))
            time = times.get(name, {}).get(code)
            for figure, gain in (("operations", gains["operations"]), ("energy", gains["energy"]), ("time", time)):
                rows[-1] += ["" if gain is None else _bold(gain, figure), known.get(figure, "")]
    header = ["shapes of", "code", "storage", "remembered", "away", "with wide columns", "operations", "remembered"]
    return [*header, "energy", "remembered", "time", "remembered"], rows


def _trained(part: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    cases = part["cases"]
    times = _times(parts, "one")
    others = {key: case for key, case in cases.items() if case["kind"] != "ternary"}
    text = ""
    if others:
        header = ["network", "bits", "pruned here", "zeros", "entropy", "k̄", f"storage: {_ORDER}", "best other code"]
        header += ["entropy bound", f"operations: {_ORDER}", f"energy: {_ORDER}", f"time: {_ORDER}"]
        text = (
            "### Trained weights, quantized uniformly\n\n"
            + table(header, [_quantized(key, case, times) for key, case in others.items()])
            + "\nGains over 32-bit dense, with values of 32 bits in all codes; bold where they reach what the abstract "
            "says. The ResNets are for CIFAR-10 "
            "(pytorch_resnet_cifar10), the LeNets for MNIST and pruned by Dynamic Network Surgery, by their authors; "
            "none of them is part of the project. The ResNets are pruned by magnitude with one threshold, and not "
            "retrained: **no accuracy is claimed**, for pruning or for quantization. The entropy bound is that of an "
            "ideal code of single elements, with its tables of values.\n\n"
        )
    return text + _ternary({key: case for key, case in cases.items() if case["kind"] == "ternary"}, times)


def _quantized(key: str, case: Mapping[str, Any], times: Mapping[str, Mapping[str, float]]) -> list[object]:
    gains = case["gains"]
    return [
        case["label"],
        case["bits"] or "float",
        percent(case["pruned"], 0) if case["pruned"] else "",
        percent(case["zeros"], 1),
        f"{case['entropy']:.2f}",
        f"{case['groups_per_row']:.1f}",
        _three(gains, "storage"),
        _best({code: gain for code, gain in gains.items() if code not in _CODES}, "storage"),
        show(case["entropy_gain"]),
        _three(gains, "operations"),
        _three(gains, "energy"),
        _three_times(times.get(key)),
    ]


def _ternary(cases: Mapping[str, Any], times: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [
            f"`{case['label']}`",
            percent(case["zeros"], 1),
            _three(case["gains"], "storage"),
            _best(case["gains"], "storage"),
            show(max(gain["storage"] for gain in case["gains"].values()) / 16),
            _bold(case["best_by_layer"]["storage"], "storage"),
            show(case["entropy_gain"]),
            _three(case["gains"], "energy"),
            _best(case["gains"], "energy"),
            _bold(case["best_by_layer"]["energy"], "energy"),
            _best(case["gains"], "energy_without_multiplications"),
            _three_times(times.get(key)),
        ]
        for key, case in cases.items()
    ]
    rows.append(["must / aim, at 95 % zeros", "", "", "80 / 88", "5 / 5.5", "", "", "", "20 / 100", "", "", ""])
    header = ["network", "zeros", f"storage: {_ORDER}", "best code", "over 2 bits", "best code of each layer"]
    header += ["entropy bound", f"energy: {_ORDER}", "best code", "best code of each layer"]
    header += ["8-bit vectors, no multiplications", f"time: {_ORDER}"]
    sparse = [case for case in cases.values() if is_sparse(case)]
    return (
        "### Ternary networks\n\n"
        + table(header, rows)
        + '\nGains over 32-bit dense, all layers; "over 2 bits": the best code\'s storage against two bits a weight. '
        "Energy by the paper's model, with multiplications by ±1 counted and vectors of 32 bits; in the column beside, "
        "codes do not multiply, and read vectors of 8 bits, against the same dense. Where a layer's 32-bit weights "
        "take more than 1 MB, they lie in the table's last and dearest memory, and in a code they do not: that is what "
        "makes the largest gains. "
        + _within(sparse, "storage", 80, 88)
        + " "
        + _within(sparse, "energy", 20, 100)
        + "\n"
    )


def _within(cases: Sequence[Mapping[str, Any]], figure: str, must: float, aim: float) -> str:
    """How many of the sparse networks reach the bounds, and which do not."""
    best = {case["label"]: max(gain[figure] for gain in case["gains"].values()) for case in cases}
    short = [f"`{label}` ({gain:.1f})" for label, gain in best.items() if gain < aim]
    reached = sum(gain >= must for gain in best.values())
    text = f"{figure.capitalize()}: of the {len(best)} networks with 95 % zeros or more, {reached} reach the must, "
    return text + (f"and all but {', '.join(short)} the aim." if short else "and all the aim.")


def _timing(part: Mapping[str, Any]) -> str:
    return (
        "### How times were taken\n\n"
        f"Gains in time are over the plain compiled loop, code `dense`; {_threads(part['threads'])}, the shortest of "
        f"{part['rounds']} rounds. Of one input: dense layers times a vector, calls included, and convolutions times "
        f"up to {part['most_places']} places of their map at once. In a batch: every layer times "
        f"{part['most_places']} vectors at once. Large drawn matrices: some of their rows, scaled; one matrix of each "
        "shape.\n"
    )


def _bold(gain: float, figure: str) -> str:
    """A gain, bold where it reaches the abstract's."""
    return f"**{show(gain)}**" if gain >= TARGETS.get(figure, float("inf")) else show(gain)


def _three(gains: Mapping[str, Mapping[str, float]], figure: str) -> str:
    return " / ".join(_bold(gains[code][figure], figure) for code in _CODES)


def _three_times(gains: Mapping[str, float] | None) -> str:
    return " / ".join(_bold(gains[code], "time") for code in _CODES) if gains else ""


def _best(gains: Mapping[str, Mapping[str, float]], figure: str) -> str:
    code = max(gains, key=lambda code: gains[code][figure])
    return f"{_bold(gains[code][figure], figure)} `{code}`"
