"""What a command works on, and what it must not overwrite."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from sterna.cli.target import _replaced
from sterna.net import Network
from sterna.net.file import load, save
from sterna.sim.simulators import Simulator, available

SIMULATOR = Simulator.ICARUS.value if Simulator.ICARUS in available() else Simulator.VERILATOR.value

DIGEST = {"verilog_sha256": "a", "network_digest": "d", "config": {"lanes": None, "argmax": False}}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def simulate(target: Path, *options: object) -> tuple[object, ...]:
    return ("simulate", target, "--simulator", SIMULATOR, "--limit", 2, *options)


def test_the_folders_accelerator_is_used(model: Path, tmp_path: Path, sterna: Callable) -> None:
    """A model with an accelerator of its own: neither simulate nor synth makes one with other lanes."""
    folder = tmp_path / "out"
    assert sterna("generate", model, "-o", folder, "--lanes", "2,1", "--argmax").status == 0
    before = contents(folder)
    outcome = sterna(*simulate(model, "-o", folder))
    assert outcome.status == 0, outcome.err
    assert f"note: using {folder / 'small_net.json'}, made with lanes 2,1, argmax True\n" in outcome.err
    assert {name: data for name, data in contents(folder).items() if name != "simulation.json"} == before


def test_an_accelerator_of_another_network(model: Path, folder: Path, other: Network, sterna: Callable) -> None:
    digest = load(model).digest
    save(other, model)
    before = contents(folder)
    for command in (simulate(model), ("synth", model, "--device", "up5k")):
        error = sterna(*command, "-o", folder).error
        assert error == (
            f"{folder} holds the accelerator of another network (digest {digest[:12]}..., not "
            f"{other.digest[:12]}...): replace it with `sterna generate`, or give another folder with --output"
        )
    assert contents(folder) == before


def test_generate_says_what_it_replaces(model: Path, folder: Path, sterna: Callable) -> None:
    again = sterna("generate", model, "-o", folder)
    assert (again.status, "note" in again.err) == (0, False)
    changed = sterna("generate", model, "-o", folder, "--lanes", "2,1")
    assert (changed.status, changed.err.splitlines()[-1]) == (
        0,
        f"note: replaced small_net in {folder}: the old one was made with default options",
    )


@pytest.mark.parametrize(
    ("fields", "how"),
    [
        ({"config": {"lanes": [4, 2], "argmax": False}}, " with lanes 4,2"),
        ({"config": {"lanes": 3, "argmax": True}}, " with lanes 3, argmax True"),
        ({"network_digest": "e"}, " from another network"),
        ({"network_digest": "e", "config": {"argmax": True}}, " from another network with argmax True"),
        ({"verilog_sha256": "b"}, " by another version of Sterna"),
        ({"verilog_sha256": "b", "config": None}, " by another version of Sterna"),
    ],
)
def test_what_was_replaced(fields: dict[str, object], how: str) -> None:
    path = Path("out") / "net.json"
    assert _replaced(path, {**DIGEST, **fields}, DIGEST) == f"replaced net in out: the old one was made{how}"
    assert _replaced(path, DIGEST, DIGEST) is None


def test_one_accelerator_a_folder(model: Path, folder: Path, sterna: Callable) -> None:
    before = contents(folder)
    error = sterna("generate", model, "-o", folder, "--name", "second").error
    assert error == (
        f"{folder} holds the accelerator small_net, and the results of two would overwrite each other: give another "
        "folder with --output, or --name small_net to replace it"
    )
    assert contents(folder) == before


def test_two_accelerators_are_refused(folder: Path, sterna: Callable) -> None:
    for suffix in (".v", ".json", ".safetensors"):
        shutil.copy(folder / f"small_net{suffix}", folder / f"other{suffix}")
    for target in (folder, folder / "other.json"):
        for command in (simulate(target), ("synth", target, "--device", "up5k"), ("report", target)):
            assert sterna(*command).error == (
                f"{folder}: several accelerators in it (other, small_net), whose results would overwrite each other; "
                "give each a folder of its own"
            )


def add_metadata(model: Path, path: Path) -> bytes:
    """Copy a network's file, with an entry of another program's among its metadata, which a copy of ours has not."""
    with safe_open(model, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
        save_file(tensors, path, metadata={**file.metadata(), "author": "me"})
    return path.read_bytes()


@pytest.mark.parametrize("how", ["the file itself", "symbolic link", "link of the folder", "hard link"])
def test_the_model_is_never_written(how: str, model: Path, tmp_path: Path, sterna: Callable) -> None:
    folder, original = tmp_path / "models", model
    folder.mkdir()
    path = model = folder / "net.safetensors"
    if how == "symbolic link":
        model = tmp_path / "elsewhere.safetensors"
        path.symlink_to(model)
    if how == "link of the folder":
        (tmp_path / "linked").symlink_to(folder)
        model = tmp_path / "linked" / "net.safetensors"
    before = add_metadata(original, model)
    if how == "hard link":
        model = tmp_path / "net.safetensors"
        os.link(path, model)
    outcome = sterna("generate", model, "-o", folder, "--name", "net")
    assert outcome.status == 0, outcome.err
    assert model.read_bytes() == path.read_bytes() == before
    assert path.is_symlink() == (how == "symbolic link")
    assert sterna("report", folder).status == 0


@pytest.mark.parametrize("suffix", [".v", ".json", ".safetensors"])
def test_files_of_others_are_never_written(suffix: str, model: Path, tmp_path: Path, sterna: Callable) -> None:
    path = tmp_path / "out" / f"top{suffix}"
    path.parent.mkdir()
    path.write_text("{}")
    error = sterna("generate", model, "-o", path.parent, "--name", "top").error
    assert error == (
        f"{path} is there, and `sterna generate` did not make it: give another folder with --output, or --name"
    )
    assert contents(path.parent) == {path.name: b"{}"}


def test_generate_again_after_it_was_stopped(model: Path, folder: Path, sterna: Callable) -> None:
    before = contents(folder)
    (folder / "small_net.json").unlink()
    (folder / "small_net.safetensors").unlink()
    assert sterna("generate", model, "-o", folder).status == 0
    assert contents(folder) == before


def test_files_that_do_not_belong_together(folder: Path, other: Network, sterna: Callable) -> None:
    """As a `sterna generate` leaves them that was stopped between them."""
    commands = (simulate(folder), ("synth", folder, "--device", "up5k"), ("report", folder))
    verilog = folder / "small_net.v"
    whole = verilog.read_text()
    verilog.write_text(whole + "// other\n")
    for command in commands:
        error = sterna(*command).error
        assert error.startswith(f"{folder / 'small_net.json'}: ")
        assert "small_net.v" in error
        assert "`sterna generate`" in error or "generate the Verilog again" in error
    verilog.write_text(whole)
    save(other, folder / "small_net.safetensors")
    for command in commands:
        assert sterna(*command).error == (
            f"{folder / 'small_net.safetensors'}: not the network that small_net.json was made from; run `sterna "
            "generate` again"
        )


def test_an_output_folder_for_a_folder(folder: Path, tmp_path: Path, sterna: Callable) -> None:
    for command in (simulate(folder), ("synth", folder, "--device", "up5k")):
        error = sterna(*command, "-o", tmp_path / "other").error
        assert error.startswith("Invalid value for --output: is for a network file: results go beside an accelerator")
    assert not (tmp_path / "other").exists()
