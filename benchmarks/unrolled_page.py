"""The part of docs/results.md about networks with an adder for every nonzero weight."""

from __future__ import annotations

from typing import Any

from tables import percent, table

#: Images/s, must and aim; of several lanes, too.
BOUNDS = {
    ("digits-mlp", "up5k", "bitserial"): "3 million / 5 million",
    ("mnist-mlp-98", "25f", "bitserial"): "8 million / 15 million",
    ("mnist-mlp-95", "85f", "bitserial"): "5 million / 10 million",
    ("mnist-mlp-98", "85f", "unrolled"): "80 million / 130 million",
    ("mnist-lenet5-95", "85f", "mixed"): "100,000 / 300,000",
}


def route(result: dict[str, Any]) -> str:
    """Placed and routed."""
    rows, layers, narrow, seen = [], [], [], set()
    for row in result["rows"]:
        slots, clock = row["utilization"]["slots"], row["clock"]
        flip_flops = row["utilization"].get("flip_flops")
        folded = row["folded"]
        rows.append(
            [
                f"`{row['model']}`",
                row["device"],
                kind_of(row),
                f"**{row['images_per_second']:,.0f}**",
                BOUNDS[row["model"], row["device"], row["units"]],
                f"{clock['median_hz'] / 1e6:.1f}",
                f"{row['timing']['interval_cycles']} / {row['timing']['latency_cycles']}",
                f"{slots['used']:,} of {slots['available']:,} ({percent(slots['share'], 0)})",
                "–" if flip_flops is None else f"{flip_flops['used']:,}",
                row["utilization"]["ram_blocks"]["used"],
                "–" if folded is None else f"{folded['slot_cycles'] / row['slot_cycles']:.2f}",
                f"{row['total']['dsps']} / {sum(row['multipliers'].values())} / {sum(row['latches'].values())}",
            ]
        )
        for layer in row["layers"] if row["model"] not in seen else ():
            plain = layer["nonzeros"] - layer["rows"]
            counts = (f"{layer[key]:,}" for key in ("rows", "nonzeros", "adders"))
            layers.append([f"`{row['model']}`", layer["node"], *counts, f"{layer['adders'] / max(plain, 1):.2f}"])
        seen.add(row["model"])
        for beats in row["narrow"]:
            rate = row["clock"]["median_hz"] / beats["interval_cycles"]
            cells = [beats["elements_per_beat"], beats["interval_cycles"], f"{rate:,.0f}"]
            narrow.append([f"`{row['model']}`", row["device"], kind_of(row), *cells])
    header = (
        "network, device, units, images/s, must / aim, clock in MHz, interval / latency, logic slots, flip-flops, "
        "RAM blocks, slots × cycles of the folded network / of this one, DSP / multiplications / latches"
    )
    return (
        "## An adder for every nonzero weight, placed and routed\n\n"
        + table(header.split(", "), rows)
        + "\nImages/s is clock / interval, without pins. All layers are one unit; but of LeNet-5 (mixed), the first "
        "convolution is unrolled, the second bit-serial, and the dense layers are folded. Slots × cycles: must 4, "
        "aim 10.\n\n"
        + table(["network", "layer", "rows", "nonzeros", "adders", "of nonzeros less rows"], layers)
        + "\nWhat a narrower input does to the rate, at the same clock:\n\n"
        + table(["network", "device", "units", "elements a beat", "cycles", "images/s"], narrow)
    )


def kind_of(row: dict[str, Any]) -> str:
    """The kind of units, and the bits of a sum that they add in a cycle."""
    return {1: "bit-serial", None: row["units"]}.get(row["lanes"], f"{row['lanes']} bits a cycle")


def network(result: dict[str, Any]) -> str:
    """A whole network beside alkaid's."""
    own, other = result["ours"], result["theirs"]
    rows = []
    for name, found in (("Sterna, streams and FIFO included", own), ("alkaid, the pipeline alone", other["routed"])):
        counts = (f"{found[key]:,}" for key in ("adders", "slots", "flip_flops", "latency_cycles"))
        rows.append([name, *counts, f"{found['clock_hz'] / 1e6:.1f}", f"{found['images_per_second']:,.0f}"])
    header = "made by, adders, logic slots, flip-flops, latency, clock in MHz, images/s"
    packed = ", ".join(
        f"{one['slots']:,} and {one['flip_flops']:,} with a delay of {one['cutoff']}" for one in other["packed"]
    )
    return (
        f"## `{result['model']}` with all bits at once, beside alkaid's\n\n"
        + table(header.split(", "), rows)
        + f"\nAn ECP5-{result['device'].upper()}, placed and routed by the same flow in the same run, seed "
        f"{result['seed']}, {result['target_hz'] / 1e6:.0f} MHz asked for; a frame every cycle. alkaid "
        f"{result['alkaid']}: of its settings that with the fewest adder bits, of its pipelines the smallest (packed, "
        f"slots and flip-flops: {packed} between registers). All its scores of random and extreme inputs equal the "
        "golden model's.\n"
    )


def layer(result: dict[str, Any]) -> str:
    """A random layer beside alkaid's."""
    rows = []
    for row in result["layers"]:
        best = min(row["packed"], key=lambda one: int(one["slots"]))
        setting = row["settings"][row["best"]]
        same = min((one for one in row["packed"] if one["cutoff"] == 2), key=lambda one: int(one["slots"]))
        for found in row["ours"]:
            rows.append(
                [
                    percent(row["zeros"], 0),
                    found["effort"],
                    f"{found['seconds']:.1f}",
                    *(f"{one['adders']:,} / {one['adder_bits']:,}" for one in (found, setting)),
                    *(f"{one['slots']:,} / {one['flip_flops']:,}" for one in (found, best)),
                    f"**{found['slots'] / best['slots']:.3f}** / {found['flip_flops'] / best['flip_flops']:.2f}",
                    f"{same['slots']:,} / {same['flip_flops']:,}",
                ]
            )
    header = (
        "zeros, effort, seconds, adders / their bits, of alkaid, slots / flip-flops, of alkaid, of alkaid's, "
        "of alkaid with fewer registers"
    )
    (levels,) = {found["adder_levels"] for row in result["layers"] for found in row["ours"]}
    return (
        "## A random unrolled layer beside alkaid's\n\n"
        + table(header.split(", "), rows)
        + f"\n{result['columns']} inputs of 8 bits, {result['rows']} sums, an ECP5-{result['device'].upper()}; both "
        f"packed by the same flow, in the same run, without place and route. alkaid {result['alkaid']}: of its "
        "settings that with the fewest adder bits, of its pipelines that with the fewest slots (last column: of those "
        f"with twice the delay between registers). Ours has registers after every {levels} levels of adders; effort 1 "
        "is that of networks. Slots: must 1.0, aim 0.85 of alkaid's, at no more flip-flops.\n"
    )
