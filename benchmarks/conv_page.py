"""The parts of docs/results.md about convolutional networks in hardware."""

from __future__ import annotations

from typing import Any

from tables import percent, table

#: Images/s of the networks that are routed: must and aim.
BOUNDS = {"mnist-lenet5-95": "20,000 / 70,000", "cifar10-vgg-5m": "3,000 / 10,000", "cifar10-vgg-90": "1,500 / 4,000"}


def route(result: dict[str, Any]) -> str:
    """Convolutional networks, placed and routed."""
    rows = []
    for row in result["rows"]:
        used, clock = row["utilization"], row["clock"]
        spread = f" ({clock['min_hz'] / 1e6:.1f} to {clock['max_hz'] / 1e6:.1f})" if len(clock["by_seed"]) > 1 else ""
        rows.append(
            [
                f"`{row['model']}`",
                percent(row["test_accuracy"]),
                row["device"],
                f"**{row['images_per_second']:,.0f}**",
                BOUNDS[row["model"]],
                f"{clock['median_hz'] / 1e6:.1f}{spread}",
                f"{row['timing']['interval_cycles']:,} / {row['timing']['latency_cycles']:,}",
                *(_used(used[what]) for what in ("slots", "ram_blocks")),
                f"{row['total']['dsps']} / {sum(row['multipliers'].values())} / {sum(row['latches'].values())}",
            ]
        )
    header = (
        "network, accuracy, device, images/s, must / aim, clock in MHz, interval / latency, logic slots, RAM blocks"
    )
    text = "## Convolutional networks, placed and routed\n\n"
    text += table([*header.split(", "), "DSP / multiplications / latches"], rows)
    text += "\nAll weights are on the chip. Images/s is clock / interval, without pins. Seeds of place and route: "
    text += ", ".join(f"{len(row['clock']['by_seed'])} of `{row['model']}`" for row in result["rows"]) + ".\n"
    for row in result["rows"]:
        rate = f"derived for {row['fps']:,.0f} images/s at {row['clock_hz'] / 1e6:.0f} MHz" if row["fps"] else "fitted"
        text += f"\n`{row['model']}`, lanes {rate}:\n\n"
        text += _layers(row)
    return text


def up5k(result: dict[str, Any]) -> str:
    """LeNet-5 on an iCE40 UP5K."""
    rows = []
    for row in result["rows"]:
        used, clock = row["utilization"], row["clock"]
        rows.append(
            [
                f"**{row['images_per_second']:,.0f}**",
                "800 / 3,000",
                f"{clock['median_hz'] / 1e6:.1f} ({clock['min_hz'] / 1e6:.1f} to {clock['max_hz'] / 1e6:.1f})",
                f"{row['timing']['interval_cycles']:,} / {row['timing']['latency_cycles']:,}",
                *(_used(used[what]) for what in ("slots", "ram_blocks", "spram_blocks")),
                f"{row['total']['dsps']} / {sum(row['multipliers'].values())} / {sum(row['latches'].values())}",
                f"{row['images']} {'equal' if row['equal'] else '**NOT EQUAL**'}",
            ]
        )
    header = "images/s, must / aim, clock in MHz, interval / latency, logic cells, RAM blocks, SPRAM blocks"
    columns = [*header.split(", "), "DSP / multiplications / latches", "images simulated"]
    text = "## LeNet-5 on an iCE40 UP5K\n\n" + table(columns, rows)
    text += "\nImages/s is clock / interval, without pins. The clock is the median of "
    text += ", ".join(f"{len(row['clock']['by_seed'])} seeds" for row in result["rows"]) + ". "
    for row in result["rows"]:
        loaded = ", ".join(memory["unit"] for memory in row["load"]["memories"])
        text += (
            f"{percent(row['test_accuracy'])} of the test images are right. A host loads {row['load']['bytes']:,} "
            f"bytes at start, the index words of {loaded}. Convolutions are compact; lanes are derived for "
            f"{row['fps']:,} images/s at {row['clock_hz'] / 1e6:.0f} MHz:\n\n"
        )
        text += _layers(row)
    return text


def unit(result: dict[str, Any]) -> str:
    """A convolution unit, and what skipping zeros gains."""
    alone, dense = result["unit"], result["dense"]
    rows = [
        [
            row["lanes"],
            f"{row['nonzeros']:,} / {row['cycles']:,}",
            row["elements_per_beat"],
            f"{row['total']['slots']:,}",
            f"{row['slots_a_lane']:.1f}",
            "60 / 40",
            row["total"]["ram_blocks"],
            f"{row['clock']['median_hz'] / 1e6:.1f} ({row['clock']['min_hz'] / 1e6:.1f} to "
            f"{row['clock']['max_hz'] / 1e6:.1f})",
            "140 / 180",
        ]
        for row in alone["rows"]
    ]
    header = "lanes, nonzeros / cycles of a frame, results a beat, slots, slots a lane, must / aim, RAM blocks"
    text = "## A convolution unit alone\n\n"
    text += f"`{alone['layer']}` of `{alone['model']}`, requantizers included, in an ECP5-85F of speed 6: with one "
    text += "requantizer, and with as many as keep the pace.\n\n"
    text += table([*header.split(", "), "clock in MHz", "must / aim"], rows)
    bounds = {"random, 75% zeros": "3.4 / 3.9", "random, 90% zeros": "8 / 9.5"}
    rows = [
        [
            name,
            percent(found["zeros"], 1),
            f"{found['interval_cycles']:,.0f}",
            f"{found['times_faster']:.2f}" if "times_faster" in found else "",
            bounds.get(name, ""),
        ]
        for name, found in dense["schedules"].items()
    ]
    header = "weights, zeros, interval in cycles, times faster than without zeros, must / aim"
    lanes = sum(dense["schedules"]["trained"]["lanes"])
    text += f"\nThe convolutions of `{dense['model']}` with {lanes:,} lanes, the same whatever the weights. A schedule "
    text += "without zeros takes a step for each weight:\n\n"
    return text + table(header.split(", "), rows)


def _used(used: dict[str, Any]) -> str:
    return f"{used['used']:,} of {used['available']:,} ({percent(used['share'], 0)})"


def _layers(row: dict[str, Any]) -> str:
    """A network's units, and their share of the logic."""
    rows = []
    for layer in row["layers"]:
        weighted = "nonzeros" in layer
        cost = row["units"].get(layer["node"], {})
        interval = row["timing"]["interval_cycles"]
        rows.append(
            [
                layer["node"],
                layer["lanes"] if weighted else "–",
                f"{layer['nonzeros']:,}" if weighted else "–",
                f"{layer['cycles']:,}",
                percent(layer["utilization"] * layer["cycles"] / interval, 1) if weighted else "–",
                layer["elements_per_beat"],
                f"{layer['index_bits']:,}" if weighted else "–",
                f"{cost.get('slots', 0):,}",
                f"{cost.get('slots', 0) / layer['lanes']:.0f}" if weighted else "–",
                cost.get("ram_blocks", 0),
            ]
        )
    header = "unit, lanes, nonzeros, cycles, cycles of the interval that add, results a beat, index bits, slots"
    return table([*header.split(", "), "slots a lane", "RAM blocks"], rows)


def rtl(result: dict[str, Any]) -> str:
    """Convolutional networks, simulated."""
    rows = [
        [
            f"`{row['model']}`",
            f"{row['images']:,} of {row['dataset']}",
            "equal" if row["equal"] else "**NOT EQUAL**",
            *(
                f"{row[what]['computed']:,} / {row[what]['measured']:,}"
                for what in ("latency_cycles", "interval_cycles")
            ),
            f"{row['convolutions']['bits_over_entropy']:.3f}",
            f"{row['generation_seconds']:.0f} s, {row['memory_bytes'] / 2**20:.0f} MiB",
            f"{row['simulation_seconds']:.0f} s",
        ]
        for row in result["rows"]
    ]
    header = "network, images, scores and cycles, latency computed / measured, interval computed / measured"
    return (
        "## Convolutional networks through their Verilog\n\n"
        + table([*header.split(", "), "index bits / entropy, convolutions", "Verilog made in", "simulated in"], rows)
        + "\nEvery score of the emitted Verilog, in Verilator, against the golden model. Must and aim of bits over "
        "entropy: 1.25 / 1.12; of the VGG's Verilog: 10 min and 4 GB / 1 min and 1.5 GB.\n"
    )


def padding(result: dict[str, Any]) -> str:
    """What leaving out taps in padding would gain."""
    rows = []
    for row in result["rows"]:
        without, together = (row[name] / row["all_taps"] - 1 for name in ("without_padding", "rows_together"))
        steps = [f"{row['all_taps']:,.0f}", f"{without:+.1%}", f"{together:+.1%}"]
        rows.append([f"`{row['layer']}`", row["rows"], row["groups"], *steps])
    header = (
        "layer, rows of its map, groups, steps a frame, without taps in padding, with kernel rows that begin together"
    )
    return (
        "### Taps in rows of padding\n\n"
        f"They take their steps. `{result['model']}`, lanes for {result['fps']:,.0f} images/s at "
        f"{result['clock_hz'] / 1e6:.0f} MHz: what leaving them out could gain if no group had to wait, and "
        "what it costs that all groups would begin each kernel row together.\n\n" + table(header.split(", "), rows)
    )
