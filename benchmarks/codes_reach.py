"""Where the studied matrices reach the gains of the abstract of Wiedemann, Müller and Samek 2018, and where not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tables import table

#: What the abstract says: "up to".
TARGETS = {"storage": 15.0, "time": 1.7, "batch": 1.7, "energy": 20.0}
_NAMES = {"storage": "storage", "time": "time of one input", "batch": "time in a batch", "energy": "energy"}
_SPARSE = 0.95  # from this share of zeros on, the bounds for ternary networks hold
_PAPERS = ("cer", "cser")
_NOT_CODES = ("numpy_dense", "scipy_csr")

Gains = Mapping[str, Mapping[str, float]]  # figure: code: gain


def is_sparse(case: Mapping[str, Any]) -> bool:
    """Whether a case has 95 % zeros, to a tenth of a percent, or more."""
    return bool(round(case["zeros"], 3) >= _SPARSE)


def show(gain: float) -> str:
    """A gain in three digits."""
    return f"{gain:.2f}" if gain < 10 else f"{gain:.1f}" if gain < 100 else f"{gain:,.0f}"


def section(parts: Mapping[str, Any]) -> str:
    """The section, or nothing without a part to make it of."""
    groups = _groups(parts)
    if not groups:
        return ""
    figures = [figure for figure in TARGETS if any(figure in gains for group in groups.values() for gains in group)]
    header = ["matrices"]
    for figure in figures:
        header += [f"{_NAMES[figure]}, {TARGETS[figure]:g}: CER or CSER", "any code"]
    rows = [
        [title, *(_cell(group, figure, codes) for figure in figures for codes in (_PAPERS, None))]
        for title, group in groups.items()
    ]
    lines = [f"- {_sentence(groups, figure)}" for figure in figures]
    return (
        "### Where the gains of the abstract are reached\n\n"
        "The abstract of Wiedemann, Müller and Samek 2018 says of CER and CSER against dense, each as the best case: "
        f"{TARGETS['storage']:g} times less storage, {TARGETS['time']:g} times less time, {TARGETS['energy']:g} times "
        "less energy.\n\n"
        + "\n".join(lines)
        + "\n\n"
        + table(header, rows)
        + "\nHow many of the matrices reach it, with the least and the greatest gain, and the codes that are best. Of "
        "drawn matrices, any code is one of CSR, CER and CSER, and for storage packing, too.\n"
    )


def _groups(parts: Mapping[str, Any]) -> dict[str, list[Gains]]:
    """Gains of alike networks by what they are."""
    times = parts.get("times", {"cases": {}})["cases"]
    groups: dict[str, list[Gains]] = {}
    for name, made in parts.get("architectures", {"networks": {}})["networks"].items():
        gains = _turned(made["gains"], times.get(name))
        storage = {**gains["storage"], "packed": made["packed_gain"]}
        groups[f"drawn as {name}"] = [{**gains, "storage": storage}]
    for key, case in parts.get("weights", {"cases": {}})["cases"].items():
        groups.setdefault(_title(case), []).append(_turned(case["gains"], times.get(key)))
    return groups


def _turned(gains: Gains, times: Mapping[str, Gains] | None) -> Gains:
    """Gains by code as gains by figure, with those in time."""
    by_figure = {figure: {code: gains[code][figure] for code in gains} for figure in ("storage", "energy")}
    for figure, kind in (("time", "one"), ("batch", "batch")):
        if times:
            by_figure[figure] = {c: gain for c, gain in times[kind]["gains"].items() if c not in _NOT_CODES}
    return by_figure


def _title(case: Mapping[str, Any]) -> str:
    if case["kind"] == "ternary":
        return "ternary, 95 % zeros or more" if is_sparse(case) else "ternary, fewer zeros"
    family = case["label"].split("-")[0] + "s"
    width = "floats" if case["bits"] is None else "quantized"
    if case["pruned"]:
        return f"{family}, {100 * case['pruned']:.0f} % pruned here, {width}"
    return f"{family}, pruned by Dynamic Network Surgery, {width}" if case["kind"] == "pruned" else f"{family}, {width}"


def _best(gains: Mapping[str, float], codes: Sequence[str] | None) -> tuple[float, str]:
    return max((gain, code) for code, gain in gains.items() if codes is None or code in codes)


def _cell(group: Sequence[Gains], figure: str, codes: Sequence[str] | None) -> str:
    best = sorted(_best(gains[figure], codes) for gains in group if figure in gains)
    if not best:
        return ""
    reached = sum(gain >= TARGETS[figure] for gain, _ in best)
    span = show(best[0][0]) + (f" to {show(best[-1][0])}" if len(best) > 1 else "")
    names = ", ".join(f"`{code}`" for code in sorted({code for _, code in best}))
    return f"{reached} of {len(best)}: {span}, {names}"


def _sentence(groups: Mapping[str, Sequence[Gains]], figure: str) -> str:
    """On which groups CER or CSER reach it always, sometimes, never."""
    found: dict[str, list[str]] = {"all": [], "some": [], "none": []}
    for title, group in groups.items():
        best = [_best(gains[figure], _PAPERS)[0] >= TARGETS[figure] for gains in group if figure in gains]
        if best:
            found["all" if all(best) else "some" if any(best) else "none"].append(title)
    said = [f"\n  - {how} of them: {'; '.join(titles)}" for how, titles in found.items() if titles]
    return f"**{TARGETS[figure]:g} times less {_NAMES[figure]}** by CER or CSER:" + "".join(said)
