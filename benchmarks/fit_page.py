"""The parts of docs/results.md about lanes that are fitted to a device."""

from __future__ import annotations

from typing import Any

from tables import percent, table

#: What is estimated, as the page calls it.
NAMES = {"slots": "logic slots", "flip_flops": "flip-flops", "ram_blocks": "RAM blocks"}


def prices(result: dict[str, Any]) -> str:
    """The resource model against units that it was not fitted to."""
    rows = []
    for family, figures in result["families"].items():
        for resource, error in figures.items():
            if resource == "ram_blocks":
                continue
            held = error["held_out"]
            rows.append(
                [
                    family,
                    NAMES[resource],
                    held["units"],
                    percent(held["mean"], 1),
                    f"{percent(held['lowest'], 0)} to {percent(held['highest'], 0)}",
                    percent(held["sum"], 1),
                    percent(error["fitted"]["mean"], 1),
                ]
            )
    blocks = "; ".join(
        f"{family}: {figures['ram_blocks']['equal']} of {figures['ram_blocks']['units']} units"
        for family, figures in result["families"].items()
    )
    few = max(figures["ram_blocks"]["too_few"] for figures in result["families"].values())
    many = max(figures["ram_blocks"]["too_many"] for figures in result["families"].values())
    header = "family, resource, units held out, mean error, range, of their sum, mean error of the units fitted to"
    return (
        "## Resource model\n\n"
        + table(header.split(", "), rows)
        + f"\nUnits of all kinds and sizes (seed {result['seed']}), alone, as nextpnr packs them; a quarter is held "
        "out of the fit. RAM blocks are not fitted but follow Yosys's rules. They are foretold exactly for "
        f"{blocks}; no unit took more than {few} above, or {many} below, the number foretold.\n"
    )


def route(result: dict[str, Any]) -> str:
    """What `--fit` proposed, and what place and route made of it."""
    rows = []
    for row in result["rows"]:
        tried = {None: "only packed", True: "yes", False: f"**no**: {row['error']}"}
        rows.append(
            [
                f"`{row['model']}`",
                row["device"],
                ",".join(map(str, row["config"]["lanes"])),
                f"{row['timing']['interval_cycles']:,}",
                row["limit"],
                *(_beside(row, resource) for resource in NAMES),
                tried[row["routed"]],
            ]
        )
    routed = sum(row["routed"] is True for row in result["rows"])
    tried_at_all = sum(row["routed"] is not None for row in result["rows"])
    header = ["network", "device", "lanes", "interval", "limited by"]
    header += [f"{name}: estimated / used of available" for name in NAMES.values()]
    return (
        "## Lanes fitted to a device\n\n"
        + table([*header, "routed"], rows)
        + f"\n{routed} of {tried_at_all} designs that `sterna generate --fit` proposes are routed at the first try, "
        f"with one seed (must 11 of 12, aim 12). {result['clock_hz'] / 1e6:.0f} MHz were asked for, so that nextpnr is "
        "done once it has routed; clocks are in the sections above.\n\n" + _layers(result["rows"])
    )


def _beside(row: dict[str, Any], resource: str) -> str:
    """An estimate beside what was used."""
    if resource not in row["used"]:
        return "–"
    used, estimated = row["used"][resource], row["estimated"][resource]
    error = f" ({percent(estimated / used['used'] - 1, 0)})" if used["used"] and estimated != used["used"] else ""
    return f"{estimated:,} / {used['used']:,} of {used['available']:,}{error}"


def _layers(rows: list[dict[str, Any]]) -> str:
    """The choice for the largest network, layer by layer."""
    row = max(rows, key=lambda row: sum(layer["adds"] for layer in row["layers"]))
    layers = [
        [
            layer["name"],
            f"{layer['adds']:,}" if layer["lanes"] else "–",
            layer["lanes"] or "–",
            f"{layer['cycles']:,}",
            "–" if layer["utilization"] is None or not layer["lanes"] else percent(layer["utilization"], 1),
            f"{layer['index_bits'] / 1024:.1f}" if layer["index_bits"] else "–",
            layer["ram_blocks"],
            f"{layer['slots']:,}",
            layer["limit"] or "–",
        ]
        for layer in row["layers"]
    ]
    header = "layer, adds, lanes, cycles, utilization, index kbit, RAM blocks, logic slots, limited by"
    return f"The choice for `{row['model']}` on {row['device']}:\n\n" + table(header.split(", "), layers)
