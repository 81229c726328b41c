"""docs/lanes.png: the small layer in its two lanes, cycle by cycle. Signals of a simulation of the real accelerator.

The accelerator is simulated by Amaranth and recorded as a VCD; the signals are read out of that file, by the names that
they have in the Verilog too. Where a step's word, position and sum stand is found by comparing the recording with
the index words as they are read back (example.py): a recording that does not fit them is an error.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from amaranth.sim import Simulator
from example import INPUT, LANES, compiled, network, visits, weights
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from style import GREEN, GREEN_PALE, INK, LINE, MINUS, MINUS_PALE, PALE, PLUS, PLUS_PALE, QUIET, canvas

from sterna.hw import AcceleratorConfig, plan_accelerator
from sterna.hw.emit.accelerator import Accelerator

CYCLES = 64
NAMES = {
    "issue": "core.sequencer.issue",
    "step": "core.sequencer.step",
    "valid": "top.m_axis_tvalid",
    "data": "top.m_axis_tdata",
    **{f"word_{k}": f"core.lane_{k}.word" for k in range(LANES)},
    **{f"position_{k}": f"core.lane_{k}.position" for k in range(LANES)},
    **{f"total_{k}": f"core.lane_{k}.total" for k in range(LANES)},
}


def simulate() -> dict[str, list[int]]:
    """One frame through the accelerator; each signal's value in each cycle."""
    design = Accelerator(plan_accelerator(network(), AcceleratorConfig(lanes=LANES, name="example")))
    simulator = Simulator(design)
    simulator.add_clock(1e-6)

    async def bench(ctx: Any) -> None:
        sent = 0
        ctx.set(design.m_axis_tready, 1)
        for _ in range(CYCLES):
            ctx.set(design.s_axis_tvalid, sent < len(INPUT))
            ctx.set(design.s_axis_tdata, INPUT[min(sent, len(INPUT) - 1)])
            ctx.set(design.s_axis_tlast, sent == len(INPUT) - 1)
            *_, ready = await ctx.tick().sample(design.s_axis_tready)
            sent += ready and sent < len(INPUT)

    simulator.add_testbench(bench)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "example.vcd"
        with simulator.write_vcd(str(path)):
            simulator.run()
        return _read(path.read_text(encoding="utf-8"))


def _read(text: str) -> dict[str, list[int]]:
    """The signals of :data:`NAMES` in a VCD, as they are just before each rising edge of the clock."""
    head, _, body = text.partition("$enddefinitions $end")
    scopes: list[str] = []
    codes: dict[str, str] = {}
    for line in head.splitlines():
        words = line.split()
        if words[:1] == ["$scope"]:
            scopes.append(words[2])
        elif words[:1] == ["$upscope"]:
            scopes.pop()
        elif words[:1] == ["$var"]:
            codes[".".join([*scopes, words[4]])] = words[3]
    wanted = {name: _code(codes, suffix) for name, suffix in NAMES.items()}
    clock = _code(codes, "top.clk")
    now: dict[str, int] = {}
    found: dict[str, list[int]] = {name: [] for name in wanted}
    for moment in body.split("\n#"):
        changes = dict(_change(line) for line in moment.splitlines()[1:] if line[:1] in ("b", "0", "1"))
        if changes.get(clock) == 1 and clock in now:
            for name, code in wanted.items():
                found[name].append(now.get(code, 0))
        now |= changes
    return found


def _code(codes: dict[str, str], suffix: str) -> str:
    matches = {code for name, code in codes.items() if name.endswith("." + suffix)}
    if len(matches) != 1:
        raise SystemExit(f"the recording has {len(matches)} signals {suffix!r}, not one: correct NAMES in lanes.py")
    return matches.pop()


def _change(line: str) -> tuple[str, int]:
    if line[0] == "b":
        value, code = line[1:].split()
        return code, int(value, 2)
    return line[1:], int(line[0])


def facts() -> dict[str, Any]:
    """The recording from the first step on, and where each signal of a step stands in it."""
    schedule = compiled()
    made = visits(schedule)
    recorded = simulate()
    begin = recorded["issue"].index(1)
    if recorded["step"][begin : begin + schedule.steps] != list(range(schedule.steps)):
        raise SystemExit("the recording does not show one frame without a pause")
    first = {k: v[begin:] for k, v in recorded.items()}
    late: dict[str, int] = {}
    width = schedule.format.lane_width
    for lane in range(LANES):
        own = [visit for visit in made if visit.lane == lane]
        words = [packed >> lane * width & (1 << width) - 1 for packed in schedule.packed()]
        late["word"] = _find(first[f"word_{lane}"], words, "index words")
        late["position"] = _find(first[f"position_{lane}"], [v.column for v in own], "positions")
        first[f"total_{lane}"] = [_signed(value) for value in first[f"total_{lane}"]]
        late["total"] = _find(first[f"total_{lane}"], [v.total for v in own], "sums")
    results = [
        (cycle, _signed(data, 8))
        for cycle, (ok, data) in enumerate(zip(first["valid"], first["data"], strict=True))
        if ok
    ]
    return {
        "weights": weights().tolist(),
        "visits": [asdict(visit) for visit in made],
        "steps": schedule.steps,
        "bits": width,
        "late": late,
        "signals": {name: first[name] for name in sorted(first)},
        "results": results,
        "order": list(schedule.order),
    }


def _signed(value: int, width: int = 7) -> int:
    return value - (value >> (width - 1) << width)


def _find(recorded: Sequence[int], wanted: Sequence[int], what: str) -> int:
    """How many cycles after its issue a step's value stands in the recording."""
    for late in range(16):
        if list(recorded[late : late + len(wanted)]) == list(wanted):
            return late
    raise SystemExit(f"the recorded {what} are not those of the index words")


LEFT, CELL, HEIGHT, PITCH = 19.0, 4.7, 2.7, 3.9
TOP = 48.5  # of the waveform
MARKED = 4  # the step whose way through the pipeline is marked


def draw(drawn: dict[str, Any]) -> Figure:
    """The picture: the matrix with the step of each weight, and the waveform."""
    figure, axes = canvas(12.6, 7.5)
    _matrix(axes, drawn)
    last = drawn["results"][-1][0] + 1
    signals, late = drawn["signals"], drawn["late"]
    _clock(axes, TOP, last)
    for cycle in range(last):
        axes.text(_at(cycle + 0.5), TOP + 4.1, str(cycle), ha="center", va="center", size=8.5, color=QUIET)
    axes.text(LEFT - 1.2, TOP + 4.1, "cycle", ha="right", va="center", size=8.5, color=QUIET)
    steps = [("white", str(s)) if s is not None else None for s in _within(signals["step"], 0, drawn["steps"], last)]
    _bus(axes, TOP - PITCH, "step", steps)
    for lane in range(LANES):
        _lane(axes, _lane_top(lane), lane, drawn, last)
    results: list[tuple[str, str] | None] = [None] * last
    for (cycle, value), row in zip(drawn["results"], drawn["order"], strict=True):
        results[cycle] = (GREEN_PALE, f"{value}".replace("-", "−"))
        axes.text(_at(cycle + 0.5), 1.1, f"row {row}", ha="center", va="center", size=8.5, color=GREEN)
    _bus(axes, 2.6, "result", results)
    _mark(axes, late)
    return figure


def _at(cycle: float) -> float:
    return LEFT + cycle * CELL


def _colors(weight: int) -> tuple[str, str]:
    """Ground and ink."""
    return {1: (PLUS_PALE, PLUS), -1: (MINUS_PALE, MINUS), 0: (PALE, QUIET)}[weight]


def _matrix(axes: Axes, drawn: dict[str, Any]) -> None:
    """The weights; in each, the step that adds or subtracts its input."""
    rows, top, high = drawn["weights"], 71.0, 3.4
    steps = {(v["row"], v["column"]): v["step"] for v in drawn["visits"] if v["weight"]}
    lanes = {v["row"]: v["lane"] for v in drawn["visits"]}
    for column in range(len(rows[0])):
        axes.text(_at(column + 0.5), top + 1.2, str(column), ha="center", va="center", size=8.5, color=QUIET)
    axes.text(LEFT - 1.2, top + 1.2, "column", ha="right", va="center", size=8.5, color=QUIET)
    for r, row in enumerate(rows):
        y = top - (r + 1) * high
        axes.text(LEFT - 1.2, y + high / 2, f"row {r}, lane {lanes[r]}", ha="right", va="center", size=10.5)
        for c, weight in enumerate(row):
            ground, ink = _colors(weight)
            axes.add_patch(
                Rectangle(
                    (_at(c), y), CELL, high, facecolor=ground if weight else "white", edgecolor=LINE, linewidth=0.7
                )
            )
            if weight:
                text = f"{'+' if weight > 0 else '−'}1"
                axes.text(
                    _at(c) + 1.6, y + high / 2, text, ha="center", va="center", size=9.5, color=ink, weight="bold"
                )
                number = str(steps[r, c])
                axes.text(_at(c) + 3.7, y + high / 2, number, ha="center", va="center", size=8, color=ink)
    zeros = sum(row.count(0) for row in rows)
    total = zeros + len(steps)
    beside = _at(len(rows[0])) + 1.8
    heading = f"{total} weights, {zeros} of them zeros:\n{drawn['steps']} steps in {LANES} lanes, not {total // LANES}"
    axes.text(beside, top + 0.6, heading, va="top", size=10.5, weight="bold", linespacing=1.3)
    keys = ((PLUS_PALE, PLUS, "added"), (MINUS_PALE, MINUS, "subtracted"), (GREEN_PALE, GREEN, "the row's sum"))
    for k, (ground, ink, text) in enumerate(keys):
        y = top - 6.2 - k * 2.5
        axes.add_patch(Rectangle((beside, y - 0.9), 2.4, 1.8, facecolor=ground, edgecolor=ink, linewidth=0.8))
        axes.text(beside + 3.4, y - 0.05, text, va="center", size=9.5)
    axes.text(beside, top - 13.9, "small number: the weight's step", va="center", size=9.5)


def _clock(axes: Axes, y: float, cycles: int) -> None:
    axes.text(LEFT - 1.2, y + HEIGHT / 2, "clk", ha="right", va="center", size=10.5)
    x, level = [_at(0)], [y]
    for cycle in range(cycles):
        x += [_at(cycle), _at(cycle + 0.5), _at(cycle + 0.5), _at(cycle + 1)]
        level += [y + HEIGHT, y + HEIGHT, y, y]
    axes.plot(x, level, color=INK, linewidth=1.1)


def _within(values: Sequence[int], begin: int, count: int, cycles: int) -> list[int | None]:
    """Each cycle's value, None where no step of the frame stands in the stage."""
    return [values[cycle] if begin <= cycle < begin + count else None for cycle in range(cycles)]


def _bus(axes: Axes, y: float, name: str, cells: Sequence[tuple[str, str] | None], *, mono: bool = False) -> None:
    """A signal of several bits: a cell a cycle, with its ground and text, or a line where nothing is of interest."""
    axes.text(LEFT - 1.2, y + HEIGHT / 2, name, ha="right", va="center", size=10.5)
    slope = 0.45
    for cycle, cell in enumerate(cells):
        left, right, middle = _at(cycle), _at(cycle + 1), y + HEIGHT / 2
        corners = [
            (left, middle),
            (left + slope, y + HEIGHT),
            (right - slope, y + HEIGHT),
            (right, middle),
            (right - slope, y),
            (left + slope, y),
        ]
        if cell is None:
            axes.add_patch(Rectangle((left, middle - 0.35), right - left, 0.7, facecolor="#e6e9ec", edgecolor="none"))
            continue
        ground, text = cell
        axes.add_patch(Polygon(corners, facecolor=ground, edgecolor=INK, linewidth=0.9))
        family = "DejaVu Sans Mono" if mono else "DejaVu Sans"
        axes.text((left + right) / 2, middle - 0.05, text, ha="center", va="center", size=9, family=family)


def _lane_top(lane: int) -> float:
    return TOP - 9.6 - lane * (4 * PITCH + 2.6)


def _mark(axes: Axes, late: dict[str, int]) -> None:
    """The way of one step of lane 0 through the pipeline."""
    top = _lane_top(0) + HEIGHT / 2
    stops = [(0, TOP - PITCH + HEIGHT / 2), (late["word"], top), (late["position"], top - 2 * PITCH)]
    stops.append((late["total"], top - 3 * PITCH))
    x = [_at(MARKED + cycle + 0.5) for cycle, _ in stops]
    axes.plot(x, [y for _, y in stops], color="#9a6700", linewidth=1.6, linestyle=(0, (2, 1.5)), zorder=0.5)
    for cycle, y in stops:
        left = _at(MARKED + cycle) - 0.25
        outline = Rectangle((left, y - HEIGHT / 2 - 0.4), CELL + 0.5, HEIGHT + 0.8, fill=False, edgecolor="#9a6700")
        outline.set_linewidth(1.8)
        axes.add_patch(outline)
    axes.text(
        _at(MARKED + late["total"] + 5.2),
        top - 3 * PITCH - 2.9,
        f"Framed: step {MARKED} on its way. Its word comes after {late['word']} cycles, its sum after {late['total']}.",
        ha="center",
        va="center",
        size=9.5,
        color="#9a6700",
    )


def _lane(axes: Axes, top: float, lane: int, drawn: dict[str, Any], cycles: int) -> None:
    """Index word, sign, position and sum of a lane."""
    signals, late, steps, bits = drawn["signals"], drawn["late"], drawn["steps"], drawn["bits"]
    own = [visit for visit in drawn["visits"] if visit["lane"] == lane]
    grounds = [_colors(visit["weight"])[0] for visit in own]

    def cells(name: str, stage: str, text: Any) -> list[tuple[str, str] | None]:
        begin = late[stage]
        values = _within(signals[f"{name}_{lane}"], begin, steps, cycles)
        return [
            None if value is None else (grounds[cycle - begin], text(value, own[cycle - begin]))
            for cycle, value in enumerate(values)
        ]

    sign = bits - 1
    words = cells("word", "word", lambda v, _: f"{v >> sign} {v & (1 << sign) - 1:0{sign}b}")
    signs = cells("word", "word", lambda v, visit: ("+" if v >> sign else "−") if visit["weight"] else "wait")
    places = cells("position", "position", lambda v, _: str(v))
    sums = cells("total", "total", lambda v, _: str(v).replace("-", "−"))
    for cycle, visit in enumerate(own):
        if visit["ends"] and (at := sums[cycle + late["total"]]) is not None:
            sums[cycle + late["total"]] = (GREEN_PALE, at[1])
    middle = top - 1.5 * PITCH + HEIGHT / 2
    axes.text(1.2, middle, f"lane {lane}", ha="center", va="center", size=11, weight="bold", rotation=90)
    axes.plot([2.9, 2.9], [top + HEIGHT, top - 3 * PITCH], color=LINE, linewidth=1.2)
    _bus(axes, top, "index word", words, mono=True)
    _bus(axes, top - PITCH, "sign", signs)
    _bus(axes, top - 2 * PITCH, "position", places)
    _bus(axes, top - 3 * PITCH, "sum", sums)
