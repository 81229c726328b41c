"""What a command works on: a network file, or the folder that `sterna generate` made from one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sterna.hw import AcceleratorConfig
    from sterna.net import Network
    from sterna.sim.manifest import Manifest

__all__ = ["ModelPath", "OutputFolder", "TargetPath", "default_folder", "make", "open_target"]

ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="Network file (.safetensors).", show_default=False)]
TargetPath = Annotated[
    Path,
    typer.Argument(
        metavar="TARGET",
        help="Folder that `sterna generate` made; or a network file, which is generated first with derived lanes.",
        show_default=False,
    ),
]
OutputFolder = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder to write to.", show_default="build/NAME")
]


def default_folder(model: Path) -> Path:
    """Where a network's products go unless the user says otherwise."""
    return Path("build") / model.stem


def make(model: Path, folder: Path, config: AcceleratorConfig) -> Manifest:
    """Generate Verilog, and lay the network beside it, so that the folder says all of what it was made from.

    Without a name in ``config``, the top module is called after the network's file.
    """
    from sterna.hw import generate
    from sterna.hw.config import identifier
    from sterna.net.file import load, save
    from sterna.sim.manifest import Manifest

    network = load(model)
    path = generate(network, folder, config=replace(config, name=config.name or identifier(model.stem)))
    save(network, path.with_suffix(".safetensors"))
    return Manifest.load(path)


def open_target(target: Path, output: Path | None, progress: Callable[[str], None]) -> tuple[Manifest, Network]:
    """The accelerator in a folder (made first, if ``target`` is a network file), and its network."""
    from sterna.net.file import load
    from sterna.sim.manifest import Manifest

    if target.is_dir() or target.suffix == ".json":
        manifest = Manifest.load(target)
    else:
        from sterna.hw import AcceleratorConfig

        progress(f"generating Verilog of {target}")
        manifest = make(target, output or default_folder(target), AcceleratorConfig())
    return manifest, load(manifest.path.with_suffix(".safetensors"))
