"""The parts of docs/results.md about networks that are imported."""

from __future__ import annotations

from typing import Any

from tables import table


def files(result: dict[str, Any]) -> str:
    """Files that others made, against qonnx."""
    rows = []
    for file in result["files"]:
        if "refused" in file:
            rows.append([f"`{file['file']}`", "", "refused: " + "; ".join(file["refused"]), "", ""])
            continue
        different = f"{file['different']} of {file['compared']:,}"
        rows.append([f"`{file['file']}`", f"{file['weights']:,}", different, file["ties"], f"{file['seconds']:.2f} s"])
    header = ["file", "weights", "hidden codes and scores that differ from qonnx", "ties", "read and folded in"]
    return (
        "## Imported networks\n\n"
        + table(header, rows)
        + f"\n{result['files'][0].get('inputs', 0):,} random inputs each; must: none different.\n"
    )


def speed(result: dict[str, Any]) -> str:
    """A network of CNV's size."""
    seconds = result["seconds"]
    return (
        "### Time of an import\n\n"
        f"A network of CNV's shape, {result['weights']:,} weights: {result['total']:.1f} s (must 5 s, aim 1 s), of "
        f"which {seconds['read'] + seconds['fold']:.2f} s to read and fold it and {seconds['prove']:.1f} s to prove "
        f"{result['codes']:,} codes and scores equal on {result['samples']:,} inputs. Best of {result['runs']}.\n"
    )
