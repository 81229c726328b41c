"""Makes docs/results.md from the benchmarks' JSON: no number there is typed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boards_page
import codes_page
import conv_page
import fit_page
import generation_page
import import_page
import index_page
import loadable_page
import speed_page
import sums_page
import training_page
import unrolled_page
from tables import percent, table

HEAD = """# Results

Made by `make bench` from `benchmarks/results/*.json`, which also hold seeds, digests and all single runs; do not edit.
"must" and "aim" are the bounds that the project set itself before measuring.
"""

NAMES = {"up5k": "an iCE40 UP5K", "25f": "an ECP5-25F", "85f": "an ECP5-85F"}


def source(result: dict[str, Any]) -> str:
    """The line that says what made a section's figures."""
    versions = result.get("versions") or result.get("tools") or {}
    return f"`{result['command']}` with {', '.join(f'{name} {version}' for name, version in versions.items())}.\n"


def accuracy(result: dict[str, Any]) -> str:
    """MNIST accuracy."""
    bounds = {"mnist-mlp-95": ("98.8 %", "99.0 %"), "mnist-mlp-98": ("98.3 %", "98.6 %")}
    rows = []
    for name, figures in result["recipes"].items():
        committed = result["committed"][name]
        rows.append(
            [
                f"`{name}`",
                percent(committed["zeros"]),
                percent(committed["test_accuracy"]),
                f"{percent(figures['test_accuracy_mean'])} ± {percent(figures['test_accuracy_deviation'])} "
                f"({figures['seeds']} seeds)",
                *bounds[name],
            ]
        )
    header = ["recipe", "zeros", "committed file", "mean ± deviation", "must", "aim"]
    return (
        "## MNIST, 784-256-256-10, 4-bit inputs and activations\n\n"
        + table(header, rows)
        + f"\nAll {result['test_images']:,} test images; the epoch is chosen on 5,000 held-out training images.\n"
    )


def digits(result: dict[str, Any]) -> str:
    """The digits recipes over seeds and instructions."""
    rows = []
    for name, figures in result["recipes"].items():
        others = ", ".join(percent(run["test_accuracy"]) for run in figures["instructions"].values())
        rows.append(
            [
                f"`{name}`",
                percent(figures["zeros_least"]),
                f"{percent(figures['test_accuracy_least'])} to {percent(figures['test_accuracy_most'])} "
                f"({figures['seeds']} seeds)",
                percent(figures["test_accuracy_mean"]),
                percent(figures["runs"][0]["test_accuracy"]),
                others,
            ]
        )
    held = ", ".join(next(iter(result["recipes"].values()))["instructions"])
    header = ["recipe", "zeros, least", "test accuracy", "mean", "seed 1", f"seed 1, {held}"]
    return (
        "## What the demo reaches\n\n"
        + table(header, rows)
        + f"\n`sterna demo` trains by `digits-demo`, seed 1; `digits-mlp` made the committed network. All "
        f"{result['test_images']} test images. Other processors add in another order, and the same seed then gives "
        f"another network: this one's torch used {result['capability']}, and seed 1 was trained again with its "
        f"instructions held to {held}. A user's accuracy is one more draw like these.\n"
    )


def rtl(result: dict[str, Any]) -> str:
    """The 95 % network in Verilog."""
    rows = [
        [
            unit["name"],
            unit["lanes"],
            f"{unit['nonzeros']:,}",
            unit["interval_cycles_alone"],
            percent(unit["utilization"]),
            f"{unit['bits_over_entropy']:.3f}",
        ]
        for unit in result["hidden_layers"]
    ]
    total = result["hidden_total"]
    rows.append(["both", "", "", "", percent(total["utilization"]), f"{total['bits_over_entropy']:.3f}"])
    rows.append(["must / aim", "", "", "", "98 % / 99.3 %", "1.22 / 1.12"])
    header = ["hidden layer", "lanes", "nonzeros", "interval alone, cycles", "utilization", "index bits / entropy"]
    equal = "every score equal to the golden model's" if result["equal"] else "**NOT EQUAL**"
    latency, interval = result["latency_cycles"], result["interval_cycles"]
    return (
        f"## `{result['model']}` in Verilog\n\n"
        + table(header, rows)
        + f"\n{result['images']:,} test images through the emitted Verilog ({result['simulator']}): "
        f"{result['simulation_seconds']:.0f} s with the build (must 600, aim 180), {equal}, accuracy "
        f"{percent(result['accuracy'])}. Latency {latency['measured']} cycles measured, {latency['computed']} "
        f"computed; interval {interval['measured']} and {interval['computed']}. Generating the Verilog took "
        f"{result['generation_seconds']:.1f} s (must 30, aim 5).\n"
    )


def route(result: dict[str, Any]) -> str:
    """The 98 % network, routed."""
    bounds = {"up5k": "20,000 / 40,000", "25f": "120,000 / 300,000 in 25 % of the slots"}
    rows = []
    for row in result["rows"]:
        used = row["utilization"]["slots"]
        clock = row["clock"]
        rows.append(
            [
                row["device"],
                ", ".join(map(str, row["lanes"])),
                "yes" if row["escapes"] else "no",
                f"{row['images_per_second']:,.0f}",
                bounds[row["device"]],
                f"{clock['median_hz'] / 1e6:.1f} ({clock['min_hz'] / 1e6:.1f} to {clock['max_hz'] / 1e6:.1f})",
                f"{row['interval_cycles']} / {row['latency_cycles']}",
                f"{row['total']['lut4']} + {row['total']['carry']}",
                row["total"]["flip_flops"],
                f"{used['used']:,} of {used['available']:,} ({percent(used['share'], 1)})",
                f"{row['utilization']['ram_blocks']['used']} of {row['utilization']['ram_blocks']['available']}",
                f"{row['index_bits'] / 1000:,.1f}",
                f"{row['total']['dsps']} / {sum(row['multipliers'].values())} / {sum(row['latches'].values())}",
            ]
        )
    header = [
        "device",
        "lanes",
        "escapes",
        "images/s",
        "must / aim",
        "clock, MHz",
        "interval / latency",
        "LUT4 + carry",
        "flip-flops",
        "slots used",
        "RAM blocks",
        "index kbit",
        "DSP / `$mul` / latches",
    ]
    seeds = len(result["place_and_route_seeds"])
    return (
        f"## `{result['model']}`, placed and routed\n\n"
        + table(header, rows)
        + f"\nThe whole network with its requantization. Clock: median of {seeds} seeds of place and route (least to "
        "highest). Images/s = clock / interval.\n"
    )


def dense(result: dict[str, Any]) -> str:
    """One dense unit."""
    rows = []
    for row in result["rows"]:
        clock, total = row["clock"], row["resources"]
        folded = row["output_registers"]
        rows.append(
            [
                row["device"],
                row["lanes"],
                row["activation_bits"],
                "yes" if row["escapes"] else "no",
                "yes" if folded and folded["folded"] else "no",
                total["lut4"],
                total["carry"],
                total["lut4"] + (2 if row["device"] != "up5k" else 0) * total["carry"],
                total["flip_flops"],
                total["ram_blocks"],
                f"{row['index_bits'] / 1000:,.1f}",
                f"{clock['median_hz'] / 1e6:.1f} ({clock['min_hz'] / 1e6:.1f} to {clock['max_hz'] / 1e6:.1f})",
                row["cycles"],
            ]
        )
    header = [
        "device",
        "lanes",
        "bits",
        "escapes",
        "RAM output register",
        "LUT4",
        "carry",
        "LUT4 + 2·carry (ECP5)",
        "flip-flops",
        "RAM blocks",
        "index kbit",
        "clock, MHz",
        "cycles",
    ]
    gates = result["gate_level"]
    good = gates["equal"] and gates["equal_with_stalls"] and gates["timing_equal"]
    return (
        "## One dense unit, 784 × 128, 95 % zeros\n\n"
        + table(header, rows)
        + "\nEverything between its streams but the requantization. Must: 800 slots, 135 MHz; aim: 560 slots, 145 MHz, "
        f"180 MHz with the RAM's output register. The folded netlist at gate level: {gates['frames']} random frames, "
        f"with and without stalls, {'equal' if good else '**NOT EQUAL**'} to the golden model and the computed timing. "
        f"Clock: median of {len(result['place_and_route_seeds'])} seeds.\n"
    )


def timing(result: dict[str, Any]) -> str:
    """Computed against measured cycles."""
    networks, models = result["random_networks"], result["models"]
    left = result.get("not_measured", 0)
    unknown = (
        f" {left} intervals, which take more than {result['most_frames']} frames, were not measured." if left else ""
    )
    return (
        "## Computed against measured cycles\n\n"
        f"{sum(n['equal'] for n in networks)} of {len(networks)} random networks of 1 to 4 layers, and "
        f"{sum(n['equal'] for n in models)} of {len(models)} committed ones: scores, latency and interval of the "
        f"emitted Verilog ({result['simulator']}) equal to the golden model and to what the generator "
        f"computed.{unknown}\n"
    )


def timing_graphs(result: dict[str, Any]) -> str:
    """The same for networks of all kinds."""
    networks = result["random_networks"]
    residual = sum(record["seed"] % 2 for record in networks)  # timing_graphs.draw
    return (
        f"Of {len(networks)} random networks of all kinds of nodes, {residual} with branches that meet, "
        f"{sum(record['equal'] for record in networks)} are equal in the same way; {result['not_measured']} intervals "
        f"were not measured. The interval is {result['interval_over_bound']['largest']:.3f} times what the slowest "
        "unit needs, at most.\n"
    )


def speed(result: dict[str, Any]) -> str:
    """The golden model's speed."""
    mlp, vgg = result["mlp_784_256_256_10"], result["vgg_64_64_128_128_256_256_128_10"]
    rows = [
        ["784-256-256-10", f"{mlp['images']:,}", f"{mlp['seconds']:.2f} s", "5 s"],
        ["VGG 64-64-128-128-256-256-128-10", f"{vgg['images']:,}", f"{vgg['seconds']:.2f} s", "20 s"],
    ]
    return "## The golden model\n\n" + table(["network", "images", "best run", "must"], rows)


def schedules(result: dict[str, Any]) -> str:
    """How long schedules take to compile."""
    shapes = list(dict.fromkeys((row["rows"], row["columns"]) for row in result["random"]))
    lanes = list(dict.fromkeys(row["lanes"] for row in result["random"]))
    seconds = {(row["rows"], row["columns"], row["lanes"]): row["seconds"] for row in result["random"]}
    rows = [[f"{r} × {c}", *(f"{seconds[r, c, k]:.2f} s" for k in lanes)] for r, c in shapes]
    header = ["rows × columns", *(f"{k} lanes" for k in lanes)]

    def errors(name: str) -> str:
        found = [abs(row["error"]) for row in result[name]]
        return f"{percent(sum(found) / len(found))} on average, {percent(max(found))} at most"

    slowest = max(row["expected_seconds"] for row in result["random"] + result["layers"])
    return (
        "## Compiling schedules\n\n"
        + table(header, rows)
        + f"\nCPU time, random matrices with {percent(result['zeros'], 0)} zeros, best of "
        f"{len(result['random'][0]['all_seconds'])}. Must: 5 s, aim: 1 s for 1024 × 1024 on 16 lanes. Expected steps, "
        f"which take {slowest * 1000:.0f} ms at most, are off by {errors('random')} for these, and by "
        f"{errors('layers')} for the committed networks' dense layers on 1 to 32 lanes.\n"
    )


SECTIONS = {
    "cycles_speed": speed_page.speed,
    "mnist_accuracy": accuracy,
    "committed": training_page.committed,
    "digits_seeds": digits,
    "training_study": training_page.study,
    "cycles_accuracy": training_page.cycles,
    "model_size": training_page.sizes,
    "lane_balance": training_page.balance,
    "mnist_rtl": rtl,
    "mnist_route": route,
    "unrolled_route": unrolled_page.route,
    "unrolled_network": unrolled_page.network,
    "shared_sums": sums_page.shared,
    "unrolled_layer": unrolled_page.layer,
    "conv_route": conv_page.route,
    "lenet_up5k": conv_page.up5k,
    "conv_unit": conv_page.unit,
    "padding_rows": conv_page.padding,
    "conv_rtl": conv_page.rtl,
    "fit_route": fit_page.route,
    "fit_prices": fit_page.prices,
    "loadable": loadable_page.loadable,
    "dense_unit": dense,
    "index_words": index_page.words,
    "index_decoders": index_page.decoders,
    "bitstreams": boards_page.bitstreams,
    "board_transport": boards_page.transport,
    "board_faults": boards_page.faults,
    "board_swaps": boards_page.swaps,
    "board_examples": boards_page.examples,
    "timing_exact": timing,
    "timing_graphs": timing_graphs,
    "golden_speed": speed,
    "generation_scale": generation_page.generation,
    "schedule_speed": schedules,
    "import_qonnx": import_page.files,
    "import_speed": import_page.speed,
    "codes_study": codes_page.study,
    "codes_speed": codes_page.speed,
}


def page(results: Path) -> str:
    """The page's text, from the results that are there."""
    parts = [HEAD]
    for name, section in SECTIONS.items():
        path = results / f"{name}.json"
        if path.is_file():
            result = json.loads(path.read_text(encoding="utf-8"))
            parts += [section(result), source(result)]
    return "\n".join(parts)


def _routed(row: dict[str, Any]) -> str:
    """What a routed design reaches, in one line."""
    used = row["utilization"]
    return (
        f"**{row['images_per_second']:,.0f} images/s** at {row['clock']['median_hz'] / 1e6:.0f} MHz, "
        f"{percent(used['slots']['share'], 0)} of the logic, {used['ram_blocks']['used']} RAM blocks, "
        f"{row['total']['dsps']} DSPs"
    )


def highlights(results: Path) -> str:
    """The README's table, from the same results."""
    names = ("committed", "conv_route", "lenet_up5k", "unrolled_route", "mnist_rtl", "mnist_route", "dense_unit")
    found = {name: results / f"{name}.json" for name in names}
    read = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in found.items() if path.is_file()}
    rows: list[list[object]] = []
    for name, made in read.get("committed", {}).get("committed", {}).items():
        what = f"{made['topology']}, {made['activation_bits']}-bit activations, {percent(made['zeros'], 1)} zeros"
        rows.append([f"`{name}`: {what}"])
        rows[-1].append(f"{percent(made['test_accuracy'])} of {made['test_images']:,} test images")
    for row in read.get("conv_route", {}).get("rows", []):
        rows.append([f"`{row['model']}` on {NAMES[row['device']]}, placed and routed"])
        rows[-1].append(_routed(row))
    for row in read.get("lenet_up5k", {}).get("rows", []):
        rows.append([f"`{row['model']}` on {NAMES['up5k']}, most index words loaded at start"])
        rows[-1].append(_routed(row))
    for row in (row for row in read.get("mnist_route", {}).get("rows", []) if row["escapes"]):
        rows.append([f"`{read['mnist_route']['model']}` on {NAMES[row['device']]}, placed and routed"])
        rows[-1].append(_routed(row))
    for row in read.get("unrolled_route", {}).get("rows", []):
        how = {None: row["units"], 1: "bit by bit"}.get(row["lanes"], f"{row['lanes']} bits a cycle")
        rows.append([f"`{row['model']}` {how} on {NAMES[row['device']]}, placed and routed"])
        rows[-1].append(_routed(row))
    if "mnist_rtl" in read:
        result = read["mnist_rtl"]
        rows.append(["All MNIST test images through the emitted Verilog, against the golden model"])
        rows[-1].append(f"{result['images']:,} images {'equal' if result['equal'] else '**NOT EQUAL**'}")
        total = result["hidden_total"]
        rows.append(["Its hidden layers, 8 lanes each: cycles that add or subtract; stored index bits over entropy"])
        rows[-1].append(f"{percent(total['utilization'], 1)}; {total['bits_over_entropy']:.2f}")
    return table(["", ""], rows)
