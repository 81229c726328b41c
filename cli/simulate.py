"""``sterna simulate``: the emitted Verilog against the golden model."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sterna.cli.frames import DatasetOption, InputsOption, load_codes, random_codes, test_set
from sterna.cli.options import MAX_SEED, naming
from sterna.cli.output import console, facts, number, print_json, share, steps, write_json
from sterna.cli.target import OutputFolder, TargetPath, open_target
from sterna.net.errors import InvalidValueError

if TYPE_CHECKING:
    import numpy as np

    from sterna.net import Network
    from sterna.sim.compare import Report
    from sterna.sim.manifest import Manifest

__all__ = ["RESULT", "measure", "simulate"]

#: What a run leaves in the folder, for `sterna report`.
RESULT = "simulation.json"

_FRAMES, _MOST_FRAMES = 100, 600  # random frames where nobody says how many: at least, at most


def simulate(
    target: TargetPath,
    output: OutputFolder = None,
    inputs: InputsOption = None,
    dataset: DatasetOption = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Frames at most.", show_default="all; 100 or more random ones")
    ] = None,
    simulator: Annotated[str, typer.Option(help="verilator or icarus.")] = "verilator",
    stalls: Annotated[bool, typer.Option("--stalls", help="Stall source and sink at random.")] = False,
    trace: Annotated[bool, typer.Option("--trace", help="Compare the output of every layer, too.")] = False,
    waves: Annotated[bool, typer.Option("--waves", help="Record waveforms; says where.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of random frames and stalls.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Run the emitted Verilog in a simulator, and compare every value with the golden model.

    Frames are the codes of --inputs, the test images of --dataset, or random codes. Latency and interval are measured
    (without stalls) and have to be those that the generator computed. Exits with 0 only if everything was equal; a
    difference is named by its first layer, channel and frame. The result is kept in simulation.json beside the Verilog,
    for `sterna report`.
    """
    from sterna.sim.simulators import Simulator

    if inputs is not None and dataset is not None:
        raise InvalidValueError("give --inputs or --dataset, not both")
    with naming("--simulator"):
        Simulator.of(simulator)
    given = None if inputs is None else load_codes(inputs)
    with steps() as progress:
        manifest, network = open_target(target, output, progress)
        codes, labels = _frames(network, given, dataset, limit, seed, random=_random_frames(manifest))
        progress(f"simulating {len(codes)} frames with {simulator}")
        result = measure(
            network,
            manifest,
            codes,
            labels,
            dataset=dataset,
            simulator=simulator,
            stalls=stalls,
            trace=trace,
            waves=waves,
            seed=seed,
        )
    report: Report = result.pop("report")
    if as_json:
        print_json(result)
    else:
        _show(result)
    report.check()


def measure(
    network: Network,
    manifest: Manifest,
    codes: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    dataset: str | None = None,
    simulator: str = "verilator",
    stalls: bool = False,
    trace: bool = False,
    waves: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare, and leave the result beside the Verilog, if all was equal. ``"report"`` holds what was found."""
    import numpy as np

    from sterna.sim.compare import compare
    from sterna.sim.stalls import RandomStall

    stall = RandomStall(share=0.5) if stalls else None
    verilog = hashlib.sha256(manifest.verilog.read_bytes()).hexdigest()
    report = compare(
        network,
        manifest.path,
        codes,
        simulator=simulator,
        input_stall=stall,
        output_stall=stall,
        trace=trace,
        waves=waves,
        seed=seed,
    )
    result: dict[str, Any] = {
        **report.as_json(),
        "verilog_sha256": verilog,
        "dataset": dataset,
        "stalls": stalls,
        "seed": seed,
    }
    if labels is not None:
        outputs = report.outputs.reshape(len(labels), -1)
        classes = outputs[:, 0] if manifest.output.argmax else outputs.argmax(axis=1)
        result["accuracy"] = float(np.mean(classes == labels))
    kept = manifest.path.parent / RESULT
    if report.equal and report.timing_equal:
        write_json(kept, {name: value for name, value in result.items() if name != "waves_path"})
    else:
        kept.unlink(missing_ok=True)
    return {**result, "report": report}


def _random_frames(manifest: Manifest) -> int:
    """How many random frames are simulated by default: enough to measure the interval, if that is no long matter."""
    from sterna.sim.timing import frames_needed

    return max(_FRAMES, min(frames_needed(manifest), _MOST_FRAMES))


def _frames(
    network: Network, given: np.ndarray | None, dataset: str | None, limit: int | None, seed: int, *, random: int
) -> tuple[np.ndarray, np.ndarray | None]:
    if given is not None:
        return given[:limit], None
    if dataset is not None:
        codes, labels = test_set(network, dataset)
        return codes[:limit], labels[:limit]
    return random_codes(network, random if limit is None else limit, seed), None


def _show(result: dict[str, Any]) -> None:
    rows = {
        "network": result["network_digest"],
        "simulator": result["simulator"],
        "frames": result["frames"],
        "equal to the golden model": "yes" if result["equal"] else "NO",
    }
    if "accuracy" in result:
        rows[f"accuracy on {result['dataset']}"] = share(result["accuracy"])
    for what in ("latency", "interval", "largest_gap"):
        measured, computed = result[f"{what}_cycles"], result[f"computed_{what}_cycles"]
        found = "not measured" if measured is None else f"{number(measured)} measured"
        rows[what.replace("_", " ")] = f"{number(computed)} cycles computed, {found}"
    if result["waves_path"] is not None:
        rows["waves"] = result["waves_path"]
    console().print(facts(rows))
