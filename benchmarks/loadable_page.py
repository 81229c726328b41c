"""The part of docs/results.md about hardware for any network of a shape."""

from __future__ import annotations

from typing import Any

from tables import percent, table


def loadable(result: dict[str, Any]) -> str:
    """What it costs, and a swap while frames run."""
    rows = []
    for row in result["rows"]:
        for name, what in (("own", "this network's own"), ("any", "for any of its shape")):
            found = row[name]
            used = found["used"]
            slots, blocks = used["slots"], used["ram_blocks"]
            rows.append(
                [
                    f"`{row['model']}`",
                    row["device"],
                    ", ".join(map(str, row["lanes"])),
                    what,
                    f"{found['cycles']:,}",
                    f"{slots['used']:,} of {slots['available']:,}",
                    f"{blocks['used']} of {blocks['available']}",
                    f"{found['clock_hz'] / 1e6:.1f}",
                    f"{found['load_bytes']:,}" if found["load_bytes"] else "–",
                ]
            )
    header = "network, device, lanes, hardware, cycles, logic slots, RAM blocks, clock in MHz, bytes of a load"
    swap = result["swap"]
    names = [swap["hardware_of"], *swap["loaded"]]
    answered = ", ".join(f"{count:,} by `{name}`" for count, name in zip(swap["answered"], names, strict=True))
    return (
        "## Other networks in the same hardware\n\n"
        + table(header.split(", "), rows)
        + f"\n`--loadable 1`, placed and routed alone, median clock of {len(result['rows'][0]['seeds'])} seeds. RAM "
        "blocks hold the words twice, and tables of thresholds.\n\n"
        f"{swap['images']:,} MNIST test images through the emitted Verilog of `{swap['hardware_of']}`, while loads of "
        f"{swap['load_bytes']:,} bytes come: answered {answered}, in this order. "
        + ("Every score is that of the network that must answer" if swap["equal"] else "**SCORES ARE WRONG**")
        + f"; {percent(swap['accuracy'])} are right.\n"
    )
