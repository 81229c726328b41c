"""The part of docs/results.md about adders that rows share."""

from __future__ import annotations

from typing import Any

from tables import table

#: Adders of the six convolutions, by their authors (S. Tridgell et al., 2019).
PUBLISHED = 126_640


def shared(result: dict[str, Any]) -> str:
    """Adders of trained and of random layers."""
    rows, totals = [], {}
    for row in result["layers"]:
        best = min(run["adders"] for run in row["alkaid"])
        rows.append(_cells(row, [f"{best:,}", f"{row['annealed']['adders'] / best:.3f}"]))
        ours, theirs = totals.get(row["layer"].split()[0], (0, 0))
        totals[row["layer"].split()[0]] = ours + row["annealed"]["adders"], theirs + best
    for name, (ours, theirs) in totals.items():
        rows.append([f"**{name}**", "", "", f"**{ours:,}**", "", "", "", f"**{theirs:,}**", f"**{ours / theirs:.3f}**"])
    adders = sum(row["annealed"]["adders"] for row in result["vgg"])
    seconds = sum(row["greedy"]["seconds"] + row["annealed"]["seconds"] for row in result["vgg"])
    memory = max(row["annealed"]["peak_mib"] for row in result["vgg"])
    header = (
        "layer, plain, greedy, annealed, levels, waiting terms, seconds, alkaid (best of its settings), of alkaid's"
    )
    return (
        "## Adders that rows share\n\n"
        + table(header.split(", "), rows)
        + f"\nAdders of two terms; alkaid {result['alkaid']}, in the same run. Waiting terms are those of the annealed "
        "adders: a register for each level that a term waits. Of all three MNIST layers' adders together: must 0.97, "
        "aim 0.85.\n\n"
        + table(header.split(", ")[:7], [_cells(row, []) for row in result["vgg"]])
        + f"\nRandom layers with {100 * result['vgg_zeros']:.1f} % zeros, in the shapes of a published unrolled VGG: "
        f"**{adders:,}** adders together, {adders / PUBLISHED:.2f} of the {PUBLISHED:,} that its authors count for "
        f"their trained weights (aim 0.9); {seconds:,.0f} s, {memory:,.0f} MiB at most.\n"
    )


def _cells(row: dict[str, Any], more: list[str]) -> list[str]:
    found = row["annealed"]
    counts = (f"{count:,}" for count in (row["plain"], row["greedy"]["adders"], found["adders"]))
    return [row["layer"], *counts, str(found["depth"]), f"{found['waits']:,}", f"{found['seconds']:.1f}", *more]
