"""The sections of docs/results.md on index words, made from the benchmarks' JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tables import percent, table

#: Names on the page; ``schedule`` is Sterna's own word.
CODES = {
    "schedule": "**index words**",
    "packed": "2 bit",
    "base3": "base 3",
    "bitmap": "bitmap",
    "csr": "CSR",
    "cer": "CER",
    "cser": "CSER",
    "run_length": "run length",
    "rice": "Rice",
    "sign_groups": "run length by sign",
}
IDEAS = {
    "run_length": "run length",
    "row_flags": "row flags",
    "row_counts": "row counts",
    "sign_groups": "signs in groups",
    "rice": "variable width",
    "shuffled": "columns shuffled",
    "relaid": "columns relaid",
    "paced": "at full pace",
}
_SAID = (
    "Row flags: a bit a weight ends its row. Row counts: a number a row does. Signs in groups: a row's plus ones, then "
    "its minus ones, without signs, as in CSER. Variable width: a Rice code. Shuffled: columns in a random order. "
    "Relaid: where the schedule lays them, with their map. At full pace: words so wide that 98 % of "
    "them are weights."
)
DECODERS = {
    **CODES,
    "schedule": "**index words** (an eighth of 8 lanes)",
    "bitmap, words of 16": "bitmap, words of 16",
    "bitmap, words of 32": "bitmap, words of 32",
    "run_length, 7 bits": "run length, words of 7 bits",
}


def words(result: dict[str, Any]) -> str:
    """Bits over entropy: the schedule now and before, other codes, and ideas one by one."""
    bounds, met = result["bounds"], result["kept"]
    bounded = ", ".join(f"{100 * zeros:g}" for zeros in result["bounded"])
    worst = max(c["over_entropy"]["schedule"] for c in result["random"] if c["wanted_zeros"] in result["bounded"])
    least = min(c["utilization"] for c in result["random"] if c["wanted_zeros"] in result["bounded"])
    verdict = "aim met" if met["aim"] else "must met, aim missed" if met["must"] else "**must missed**"
    matrix = result["random"][0]["matrices"][0]
    before = f"; before: as of commit {result['before']['label']}" if result["before"] else ""
    return (
        f"## Index words, {result['lanes']} lanes\n\n"
        + _course(result)
        + "\nStored bits over entropy and the share of the lanes' cycles that add or subtract, in one configuration: "
        "words, fillers, waits, row ends, escapes and the columns' map counted. A word: bits of a distance, plus those "
        f"of an escape and in how many memories{before}. Random {matrix['rows']} × {matrix['columns']} matrices, means "
        f"of {len(result['seeds'])} seeds; hidden layers of the networks, a convolution's matrix as if it were a dense "
        f"layer's. At {bounded} % zeros: must {bounds['must']:.2f}, aim {bounds['aim']:.2f}, with "
        f"{percent(bounds['utilization'], 0)} of the cycles used; {worst:.3f} at worst and {percent(least, 1)} at "
        f"least: {verdict}.\n\n"
        + _over(result, CODES)
        + "\nBits over entropy of the other codes, counted as tightly as each allows; what they cost in cycles and "
        "logic stands below.\n\n"
        + _over(result, IDEAS)
        + "\nBits over entropy of run length in words of one width, rows without ends and a sign a weight, and of each "
        f"idea alone. {_SAID}\n"
    )


def _course(result: dict[str, Any]) -> str:
    """The word before and now."""
    before = result["before"]
    header = ["zeros or network", "zeros", "weights a row", "entropy, bits", "bits / entropy", "cycles used", "word"]
    if before:
        header[4:6] = ["bits / entropy, before", "now", "cycles used, before", "now"]
    earlier = {_name(case): case for case in [*before["random"], *before["models"]]} if before else {}
    rows = []
    for case in [*result["random"], *result["models"]]:
        parts = _parts(case)
        weights = sum(part["nonzeros"] for part in parts) / sum(part["rows"] for part in parts)
        rows.append([_name(case), percent(case["zeros"], 1), f"{weights:.1f}", f"{_entropy(parts):.3f}"])
        for key, shown in (("over_entropy", _ratio), ("utilization", _used)):
            if before:
                rows[-1].append(shown(earlier[_name(case)][key]) if _name(case) in earlier else "–")
            rows[-1].append(shown(case[key]))
        rows[-1].append(_formats(case))
    return table(header, rows)


def _over(result: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Bits over entropy of some codes."""
    rows = [
        [_name(case), *(f"{case['over_entropy'][name]:.3f}" for name in names)]
        for case in [*result["random"], *result["models"]]
    ]
    return table(["zeros or network", *names.values()], rows)


def _name(case: Mapping[str, Any]) -> str:
    return f"`{case['name']}`" if "name" in case else f"{100 * case['wanted_zeros']:g} %"


def _parts(case: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = case["layers"] if "layers" in case else case["matrices"]
    return found


def _entropy(parts: Sequence[Mapping[str, Any]]) -> float:
    """Bits an element."""
    return sum(part["entropy_bits"] for part in parts) / sum(part["rows"] * part["columns"] for part in parts)


def _formats(case: Mapping[str, Any]) -> str:
    """Bits of a distance, of an escape, and the groups that share escapes, of every part that differs."""
    found = []
    for part in _parts(case):
        fmt = part["format"]
        text = f"{fmt['run_width']}"
        if fmt["escape_width"]:
            text += f" + {fmt['escape_width']} in {fmt['groups']}"
        found.append(text)
    return "; ".join(dict.fromkeys(found))


def _ratio(over: Mapping[str, float]) -> str:
    return f"{over['schedule']:.3f}"


def _used(share: float) -> str:
    return percent(share, 1)


def decoders(result: dict[str, Any]) -> str:
    """What a lane needs to read each code."""
    rows = []
    for made in result["decoders"]:
        ecp5, ice40 = made["families"]["ECP5"], made["families"]["iCE40"]
        slots = ecp5["lut4"] + 2 * ecp5["carry"]
        rows.append(
            [
                DECODERS[made["name"]],
                f"{made['stored_over_entropy']:.3f}",
                percent(1 - made["used"], 1),
                f"{made['memories']:.3g}",
                *(f"{ecp5[key]:.0f}" for key in ("lut4", "carry", "flip_flops", "levels")),
                f"{slots / made['used']:.0f}",
                *(f"{ice40[key]:.0f}" for key in ("lut4", "carry", "flip_flops", "levels")),
            ]
        )
    costs = ["LUT4", "carry", "flip-flops", "levels"]
    header = ["code", "bits / entropy", "cycles lost", "memories", *costs, "slots / cycles used"]
    header += ["iCE40: LUT4", *costs[1:]]
    good = sum(made["equal"] for made in result["decoders"])
    return (
        "## Decoders of one lane\n\n"
        + table(header, rows)
        + "\nFrom memory words to position, sign and row end; a random "
        f"{result['rows']} × {result['columns']} matrix at {percent(result['zeros'], 0)} zeros, a lane's eighth of its "
        f"rows. Simulated, {good} of {len(result['decoders'])} find every weight and sign. Mapped by Yosys to ECP5, "
        "and to iCE40 in the last four columns; not placed. Memories and the registers behind them are not part of "
        "it; slots are LUT4 + 2·carry. Levels: tables and carry chains on the longest way between registers. The "
        "index words' share holds what lanes have in common, program counter and escapes.\n"
    )
