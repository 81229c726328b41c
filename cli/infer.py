"""``sterna infer``: a network on a board, over a serial port."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sterna.cli.frames import DatasetOption, InputsOption, load_codes, random_codes, test_set
from sterna.cli.options import MAX_SEED
from sterna.cli.output import Steps, console, facts, number, print_json, share, steps
from sterna.cli.target import ModelPath
from sterna.net.errors import InvalidValueError, SternaError

if TYPE_CHECKING:
    import numpy as np

    from sterna.boards.host import Board
    from sterna.net import Network

__all__ = ["BAUD", "BaudOption", "PortOption", "TimeoutOption", "board_facts", "infer"]

BAUD = 1_000_000
_FRAMES = 100  # random ones where nobody says how many
_MOST_BAUD = 100_000_000

PortOption = Annotated[
    str, typer.Option("--port", help="Serial port of the board: /dev/ttyUSB1, COM3, ...", show_default=False)
]
BaudOption = Annotated[
    int, typer.Option("--baud", min=1, max=_MOST_BAUD, help="Baud rate that the bitstream was made for.")
]
TimeoutOption = Annotated[
    float,
    typer.Option("--timeout", min=0.001, max=3600, help="Seconds of silence after which the board is asked again."),
]


class DifferentError(SternaError, RuntimeError):
    """The board and the golden model differ."""


def infer(
    model: ModelPath,
    port: PortOption,
    inputs: InputsOption = None,
    dataset: DatasetOption = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Frames at most.", show_default="all; 100 random ones")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the results there, as a .npy file.", show_default=False)
    ] = None,
    baud: BaudOption = BAUD,
    timeout: TimeoutOption = 0.5,
    load_first: Annotated[
        bool, typer.Option("--load", help="Load the network first, if the board has another one, or none yet.")
    ] = False,
    check: Annotated[bool, typer.Option(help="Compare every result with the golden model.")] = True,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of random frames.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compute frames on a board, and compare every result with the golden model.

    Frames are the codes of --inputs, the test images of --dataset, or random codes. A board with another network is
    refused, unless --load is given. What gets lost or damaged on the line is sent again. Exits with 0 only if every
    result was equal, or --no-check was given.
    """
    from sterna.boards.host import Board
    from sterna.net.file import load

    if inputs is not None and dataset is not None:
        raise InvalidValueError("give --inputs or --dataset, not both")
    network = load(model)
    codes, labels = _frames(network, inputs, dataset, limit, seed)
    with steps() as progress:
        progress(f"looking for a board at {port}")
        with Board(port, network, load=load_first, baud=baud, timeout=timeout) as board:
            begun = time.monotonic()
            results = board.predict(codes, progress=_shown(progress))
            seconds = time.monotonic() - begun
            found = _result(board, network, codes, labels, results, seconds, dataset=dataset, check=check)
    if output is not None:
        _save(output, results)
    if as_json:
        print_json(found)
    else:
        _show(found)
    if found["different"]:
        raise DifferentError(
            f"{found['different']} of {found['frames']} results are not the golden model's: make the bitstream again, "
            "or ask for a lower clock"
        )


def _frames(
    network: Network, inputs: Path | None, dataset: str | None, limit: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray | None]:
    if inputs is not None:
        return load_codes(inputs)[:limit], None
    if dataset is not None:
        codes, labels = test_set(network, dataset)
        return codes[:limit], labels[:limit]
    return random_codes(network, limit or _FRAMES, seed), None


def _shown(progress: Steps) -> Any:
    return lambda done, total: progress(f"{done} of {total} frames")


def _result(
    board: Board,
    network: Network,
    codes: np.ndarray,
    labels: np.ndarray | None,
    results: np.ndarray,
    seconds: float,
    *,
    dataset: str | None,
    check: bool,
) -> dict[str, Any]:
    from sterna.sim.golden import GoldenModel

    flat = results.reshape(len(codes), -1)
    argmax = board.info.output.argmax
    sent, received = board.line_bytes
    found: dict[str, Any] = {
        "network_digest": network.digest,
        "frames": len(codes),
        "seconds": seconds,
        "frames_per_second": len(codes) / seconds if seconds else None,
        "line_bytes": {"sent": sent, "received": received},
        "sessions": board.sessions,
        "counters": vars(board.counters()),
        "dataset": dataset,
        "different": None,
    }
    if check:
        golden = GoldenModel(network)
        expected = golden.classify(codes)[:, None] if argmax else golden.predict(codes).reshape(len(codes), -1)
        found["different"] = int((flat != expected).any(axis=1).sum())
    if labels is not None:
        classes = flat[:, 0] if argmax else flat.argmax(axis=1)
        found["accuracy"] = float((classes == labels).mean())
    return found


def _save(path: Path, results: np.ndarray) -> None:
    import numpy as np

    from sterna.net.container import replacing

    with replacing(path) as beside, beside.open("wb") as file:
        np.save(file, results)


def _show(found: dict[str, Any]) -> None:
    rows: dict[str, object] = {"network": found["network_digest"], "frames": number(found["frames"])}
    if found["frames_per_second"] is not None:
        rows["frames/s over the line"] = number(found["frames_per_second"])
    if found["different"] is not None:
        rows["equal to the golden model"] = "NO" if found["different"] else "yes"
    if "accuracy" in found:
        rows[f"accuracy on {found['dataset']}"] = share(found["accuracy"])
    rows["sessions"] = number(found["sessions"])
    rows |= board_facts(found["counters"])
    console().print(facts(rows))


def board_facts(counters: dict[str, int]) -> dict[str, str]:
    """What a board counted, as rows of a table."""
    names = {"damaged": "damaged packets", "framing": "bytes without a stop bit", "refused": "refused packets"}
    return {text: number(counters[name]) for name, text in names.items()}
