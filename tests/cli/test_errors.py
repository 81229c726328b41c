"""A user's mistakes: one line that says what to do, exit status 1, and nothing half-written."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from sterna.cli.errors import is_users, message
from sterna.net import ActivationType, Linear, Network
from sterna.net.errors import InvalidValueError
from sterna.net.file import save
from sterna.sim.simulators import Simulator, available

SIMULATOR = Simulator.ICARUS.value if Simulator.ICARUS in available() else Simulator.VERILATOR.value

RECIPE = """
name = "float"
seed = 3
[data]
name = "digits"
validation = 200
[model]
topology = "8"
[training]
batch = 128
epochs = 2
[method]
name = "float"
"""

COMMANDS = (("info",), ("codes",), ("generate",), ("simulate",), ("synth", "--device", "up5k"))


def rewrite(model: Path, path: Path, change: Callable[[dict[str, np.ndarray]], None]) -> Path:
    """A copy of a network file with changed tensors."""
    with safe_open(model, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
        metadata = file.metadata()
    change(tensors)
    save_file(tensors, path, metadata=metadata)
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_missing_file(command: tuple[str, ...], tmp_path: Path, sterna: Callable) -> None:
    path = tmp_path / "none.safetensors"
    assert sterna(*command, path).error == f"cannot use {path}: there is no such file or folder"
    assert list(tmp_path.iterdir()) == []


def test_missing_recipe(tmp_path: Path, sterna: Callable) -> None:
    path = tmp_path / "none.toml"
    assert sterna("train", path, "-o", tmp_path / "run").error == f"{path}: cannot be read: No such file or directory"
    assert list(tmp_path.iterdir()) == []


def test_recipe_of_an_old_form(tmp_path: Path, sterna: Callable) -> None:
    path = tmp_path / "old.toml"
    path.write_text(RECIPE.replace('topology = "8"', "hidden = [8]"))
    error = sterna("train", path, "-o", tmp_path / "run").error
    assert error.startswith(f"{path}: unknown key model.hidden; known here: topology, ")
    assert list(tmp_path.iterdir()) == [path]


def test_demo_of_a_method_without_networks(tmp_path: Path, sterna: Callable) -> None:
    path, output = tmp_path / "float.toml", tmp_path / "demo"
    path.write_text(RECIPE)
    outcome = sterna("demo", "--recipe", path, "-o", output)
    reason = f"{output / 'train'}: there is no network to export: its weights are real numbers; train with "
    assert outcome.err.splitlines()[-1].startswith(f"sterna: {reason}")
    assert outcome.status == 1
    assert [entry.name for entry in output.iterdir()] == ["train"]


def test_plot_of_no_run(tmp_path: Path, sterna: Callable) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        reason = "not a run folder, which has recipe.json and log.jsonl; `sterna train` makes them"
        assert sterna("plot", folder).error == f"{folder}: {reason}"
    (tmp_path / "recipe.json").write_text("{}")
    (tmp_path / "log.jsonl").write_text('{"epoch": 1, "st')
    assert sterna("plot", tmp_path, "-o", tmp_path / "pictures").error == (
        f"{tmp_path / 'log.jsonl'}: nothing to show yet: no epoch is over"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "recipe.json"]


@pytest.mark.parametrize("command", COMMANDS)
def test_truncated_file(command: tuple[str, ...], model: Path, tmp_path: Path, sterna: Callable) -> None:
    path = tmp_path / "half.safetensors"
    path.write_bytes(model.read_bytes()[:-20])
    assert sterna(*command, path).error.startswith(f"{path}: not a whole safetensors file")
    assert sorted(tmp_path.iterdir()) == sorted([path, model])


def test_weights_that_are_not_ternary(model: Path, tmp_path: Path, sterna: Callable) -> None:
    def change(tensors: dict[str, np.ndarray]) -> None:
        tensors["scores.weights"][1] = 243

    path = rewrite(model, tmp_path / "changed.safetensors", change)
    error = sterna("generate", path, "-o", tmp_path / "out").error
    assert error.startswith(f"{path}: ")
    for part in ("scores", "weights", "0 to 242", "243"):
        assert part in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        (np.array([[0.0] * 7 + [0.5]]), "input must be integer codes"),
        (np.full((1, 8), 4), "input codes must be 0 to 3 (u2)"),
        (np.zeros((3, 7), dtype=np.int64), "input must have shape (batch, 8), not (3, 7)"),
        (np.zeros(8, dtype=np.int64), "input must have shape (batch, 8), not (8,): add a batch axis in front"),
        (np.array(3), "input must have shape (batch, 8), not (1,)"),
    ],
)
def test_bad_input_array(codes: np.ndarray, reason: str, folder: Path, tmp_path: Path, sterna: Callable) -> None:
    np.save(tmp_path / "x.npy", codes)
    before = sorted(folder.iterdir())
    error = sterna("simulate", folder, "--simulator", SIMULATOR, "--inputs", tmp_path / "x.npy").error
    assert error.startswith(reason)
    assert sorted(folder.iterdir()) == before


def test_nothing_to_compare(folder: Path, tmp_path: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """No frames are not equal to anything: the result of an earlier simulation stays, and no simulator is needed."""
    assert sterna("simulate", folder, "--simulator", SIMULATOR, "--limit", 2).status == 0
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    monkeypatch.setenv("PATH", "")
    np.save(tmp_path / "x.npy", np.empty((0, 8), dtype=np.int64))
    error = sterna("simulate", folder, "--simulator", "icarus", "--inputs", tmp_path / "x.npy").error
    assert error == f"{tmp_path / 'x.npy'}: there are no frames in it: its shape is (0, 8)"
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_verilog_of_a_generation_that_was_stopped(folder: Path, sterna: Callable) -> None:
    verilog = folder / "small_net.v"
    verilog.write_bytes(verilog.read_bytes() + b"// another\n")
    for command in ("simulate", "report"):
        error = sterna(command, folder).error
        assert error.startswith(
            f"{folder / 'small_net.json'}: small_net.v beside it is not the Verilog that it describes"
        )
        assert error.endswith("generate the Verilog again")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--lanes", "0"), "lanes must be a positive integer, not 0"),
        (("--lanes", "-1"), "lanes must be a positive integer, not -1"),
        (("--lanes", "two"), "lanes must be a positive integer, or several with commas between, not 'two'"),
        (("--lanes", "7"), "layer 'hidden' has 4 rows to compute and cannot use 7 lanes: give it 1 to 4"),
        (("--lanes", "2,4"), "layer 'scores' has 3 rows to compute and cannot use 4 lanes: give it 1 to 3"),
        (("--lanes", "1,1,1"), "lanes must be given for each of the 2 layers (hidden, scores), not for 3"),
        (("--fps", "1e6"), "--fps and --clock-mhz go together"),
        (("--clock-mhz", "100"), "--fps and --clock-mhz go together"),
        (("--fps", "1", "--clock-mhz", "100", "--lanes", "1"), "give --lanes or --fps, not both"),
        (("--fit", "up5k", "--lanes", "1"), "give --lanes or --fit, not both"),
        (("--units", "auto"), "--units auto needs --fit: which units are best depends on the device"),
        (("--fit", "up6k"), "--fit': unknown device 'up6k'; choose one of up5k, hx8k, 25f, 45f, 85f"),
        (("--fps", "1e9", "--clock-mhz", "100"), "1e+09 frames/s at 1e+08 Hz leave 0 cycles a frame"),
    ],
)
def test_bad_configuration(
    options: tuple[str, ...], reason: str, model: Path, tmp_path: Path, sterna: Callable
) -> None:
    assert reason in sterna("generate", model, "-o", tmp_path / "out", *options).error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [("generate",), ("simulate",), ("synth", "--device", "up5k")])
def test_unwritable_output_folder(command: tuple[str, ...], model: Path, tmp_path: Path, sterna: Callable) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "out"
    assert sterna(*command, model, "-o", folder).error == (
        f"cannot use {folder}: a part of that path is a file, not a folder"
    )
    assert (tmp_path / "file").read_text() == ""


def test_output_folder_is_a_file(model: Path, tmp_path: Path, sterna: Callable) -> None:
    (tmp_path / "file").write_text("")
    error = sterna("generate", model, "-o", tmp_path / "file").error
    assert error == f"cannot use {tmp_path / 'file'}: it is a file, not a folder"


def test_too_large_for_the_device(tmp_path: Path, sterna: Callable) -> None:
    rng = np.random.default_rng(0)
    network = Network(
        input_shape=(32,),
        input_type=ActivationType(width=4, signed=False),
        input_scale=1.0,
        nodes=[Linear(name="scores", weights=rng.choice([-1, 0, 1], (40, 32)).astype(np.int8))],
    )
    save(network, tmp_path / "large.safetensors")
    folder = tmp_path / "out"
    # Each lane reads from a copy of the activations: the blocks are used up by lanes, not by weights.
    assert sterna("generate", tmp_path / "large.safetensors", "-o", folder, "--lanes", 40).status == 0
    before = sorted(folder.iterdir())
    error = sterna("synth", folder, "--device", "up5k").error
    assert error.startswith("large_ does not fit: it needs ")  # `large` is a word of Verilog
    assert error.endswith(" of 30 RAM blocks of up5k; choose a larger device, fewer lanes or a smaller network")
    assert sorted(folder.iterdir()) == before


def test_a_network_that_no_lanes_fit_in_the_device(tmp_path: Path, sterna: Callable) -> None:
    network = Network(
        input_shape=(200,),
        input_type=ActivationType(width=1, signed=False),
        input_scale=1.0,
        nodes=[Linear(name="scores", weights=np.ones((400, 200), np.int8))],
    )
    save(network, tmp_path / "large.safetensors")
    error = sterna("generate", tmp_path / "large.safetensors", "-o", tmp_path / "out", "--fit", "up5k").error
    assert re.fullmatch(
        r"the network does not fit in up5k even with the fewest lanes: it needs \d+ RAM blocks \(of 30\)", error
    )
    assert not (tmp_path / "out").exists()


def test_missing_tool(folder: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(folder.iterdir())
    monkeypatch.setenv("YOSYS", "/no/such/yosys")
    error = sterna("synth", folder, "--device", "up5k").error
    assert error == "the variable YOSYS names '/no/such/yosys', which cannot be run; correct or unset it"
    assert sorted(folder.iterdir()) == before


def test_missing_simulator(folder: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("STERNA_IVERILOG", raising=False)
    error = sterna("simulate", folder, "--simulator", "icarus").error
    assert error.startswith("Icarus Verilog is missing: install it (apt install iverilog)")


def test_missing_package() -> None:
    error = ModuleNotFoundError("No module named 'torch'", name="torch.nn")
    assert message(error) == "the Python package torch is missing; install it with `pip install 'sterna[train]'`"
    assert is_users(error)


def test_missing_package_of_no_extra_is_a_defect() -> None:
    error = ModuleNotFoundError("No module named 'other'", name="other")
    assert not is_users(error)
    assert message(error).startswith("internal error: ModuleNotFoundError: No module named 'other'; this is a defect")


def test_network_without_hardware(tmp_path: Path, sterna: Callable) -> None:
    from sterna.net import MaxPool2d, SumPool2d

    network = Network(
        input_shape=(1, 4, 4),
        input_type=ActivationType(width=2, signed=False),
        input_scale=1.0,
        nodes=[SumPool2d(name="b", kernel=2), MaxPool2d(name="c", kernel=2)],
    )
    save(network, tmp_path / "pool.safetensors")
    error = sterna("generate", tmp_path / "pool.safetensors", "-o", tmp_path / "out").error
    assert "node 'c'" in error
    assert "MaxPool2d" in error
    assert not (tmp_path / "out").exists()


def test_folder_without_accelerator(tmp_path: Path, sterna: Callable) -> None:
    for command in (("simulate",), ("synth", "--device", "up5k"), ("report",)):
        assert sterna(*command, tmp_path).error.startswith(f"{tmp_path}: no accelerator in it")


def test_report_of_other_verilog(folder: Path, model: Path, sterna: Callable) -> None:
    arguments = ("simulate", folder, "--simulator", SIMULATOR, "--limit", 2)
    assert sterna(*arguments).status == 0
    assert sterna("report", folder).status == 0
    assert sterna("generate", model, "-o", folder, "--argmax").status == 0
    error = sterna("report", folder).error
    assert error.endswith("simulation.json: made of other Verilog than the folder's; run that command again")
    assert sterna(*arguments).status == 0
    assert sterna("report", folder).status == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("generate",), "Missing argument 'MODEL'; see `sterna generate --help`"),
        (("synth", "x"), "Missing option '--device'; see `sterna synth --help`"),
        (("generaet",), "No such command 'generaet'"),
        (("info", "--colour"), "No such option: --colour"),
        (("simulate", "x", "--inputs", "a.npy", "--dataset", "digits"), "give --inputs or --dataset, not both"),
    ],
)
def test_usage(arguments: tuple[str, ...], reason: str, sterna: Callable) -> None:
    outcome = sterna(*arguments)
    assert outcome.error.startswith(reason)
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_debug_shows_where(place: int, tmp_path: Path, sterna: Callable) -> None:
    arguments = ["info", str(tmp_path / "none.safetensors")]
    arguments.insert(place, "--debug")
    outcome = sterna(*arguments)
    assert outcome.status == 1
    assert outcome.err.startswith("Traceback (most recent call last):\n")
    last = outcome.err.splitlines()[-1]
    assert last == f"sterna: cannot use {tmp_path / 'none.safetensors'}: there is no such file or folder"


def test_a_file_called_debug(sterna: Callable) -> None:
    assert sterna("info", "--", "--debug").error == "cannot use --debug: there is no such file or folder"


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `sterna info` meet an exception."""

    def broken(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("sterna.net.cost.layer_costs", broken)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TypeError("None\n+ 1"), "TypeError: None + 1"),
        (KeyError("a"), "KeyError: 'a'"),
        (ValueError("no SternaError"), "ValueError: no SternaError"),
        (RecursionError(), "RecursionError"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_a_defect_is_named_as_one(
    error: Exception, said: str, sterna: Callable, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(error, monkeypatch)
    outcome = sterna("info", model)
    assert (outcome.status, outcome.out) == (70, "")
    assert outcome.err == (
        f"sterna: internal error: {said}; this is a defect of Sterna's: please report it with the output of the same "
        "command with --debug\n"
    )
    outcome = sterna("info", model, "--debug")
    assert outcome.status == 70
    assert "in broken" in outcome.err
    assert outcome.err.endswith("with --debug\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            MemoryError("Unable to allocate 1 PiB"),
            "not enough memory for this command: Unable to allocate 1 PiB; give it ",
        ),
        (MemoryError(), "not enough memory for this command; give it less at once, or more memory"),
        (OSError(28, "No space left on device", "a\x1b[31m"), r"cannot use a\x1b[31m: the disk is full"),
        (OSError(40, "Too many levels", b"a"), "cannot use a: its links lead in a circle"),
        (InvalidValueError("two\nlines"), "two lines"),
    ],
)
def test_what_a_user_can_cause(
    error: Exception, said: str, sterna: Callable, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(error, monkeypatch)
    assert sterna("info", model).error.startswith(said)


def test_interrupted(sterna: Callable, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(KeyboardInterrupt(), monkeypatch)
    outcome = sterna("info", model)
    assert (outcome.status, outcome.err) == (130, "sterna: interrupted\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")
def test_output_that_does_not_arrive(model: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sterna.cli", "info", model],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "sterna: the disk is full\n")


def test_amaranth_finds_no_yosys(
    model: Path, tmp_path: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMARANTH_USE_YOSYS", "none")
    error = sterna("generate", model, "-o", tmp_path / "out").error
    assert error.startswith("the Yosys that Amaranth writes Verilog with failed: The AMARANTH_USE_YOSYS environment ")
    assert not (tmp_path / "out").exists()
