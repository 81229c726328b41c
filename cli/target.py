"""What a command works on: a network file, or the folder that `sterna generate` made from one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sterna.cli.cache import writable_cache
from sterna.cli.output import Steps, read_json
from sterna.net.errors import InvalidValueError

if TYPE_CHECKING:
    from sterna.hw import AcceleratorConfig
    from sterna.net import Network
    from sterna.sim.manifest import Manifest

__all__ = [
    "ModelPath",
    "OutputFolder",
    "TargetPath",
    "accelerators",
    "default_folder",
    "load_accelerator",
    "make",
    "open_target",
]

ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="Network file (.safetensors).", show_default=False)]
TargetPath = Annotated[
    Path,
    typer.Argument(
        metavar="TARGET",
        help="Folder that `sterna generate` made, or a network file: then its accelerator in the output folder, which "
        "is generated first, with derived lanes, if there is none.",
        show_default=False,
    ),
]
OutputFolder = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder to write to.", show_default="build/NAME")
]

_SCHEMA = "sterna-accelerator-"  # and a number


def default_folder(model: Path) -> Path:
    """Where a network's products go unless the user says otherwise."""
    return Path("build") / model.stem


def accelerators(folder: Path) -> list[Path]:
    """The descriptions (NAME.json) in a folder, of any version."""
    return [path for path in sorted(folder.glob("*.json")) if _is_description(path)]


def _is_description(path: Path) -> bool:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["schema"]).startswith(_SCHEMA)
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return False


def make(model: Path, folder: Path, config: AcceleratorConfig) -> tuple[Manifest, str | None]:
    """Generate Verilog, and lay the network beside it, so that the folder says all of what it was made from.

    Without a name in ``config``, the top module is called after the network's file. A folder has one accelerator: that
    of the same name is replaced, another is refused, and so are files that Sterna did not make.

    Returns
    -------
    manifest : Manifest
    replaced : str or None
        What was replaced, in one line; ``None`` if nothing was, or the same is there again.
    """
    from sterna.hw import generate
    from sterna.hw.config import identifier
    from sterna.hw.graph.names import module_name
    from sterna.net.file import load, save
    from sterna.sim.manifest import Manifest

    network = load(model)
    name = config.name or module_name(identifier(model.stem), given=False)
    old = _check_place(folder, name, model)
    with writable_cache():
        path = generate(network, folder, config=replace(config, name=name))
    copy = path.with_suffix(".safetensors")
    if not _is_same(model, copy):
        save(network, copy)
    return Manifest.load(path), None if old is None else _replaced(path, old, read_json(path))


def _check_place(folder: Path, name: str, model: Path) -> dict[str, Any] | None:
    """What the accelerator of this name says that is there already; refuses what must not be overwritten."""
    found = accelerators(folder)
    for path in found:
        if path.stem != name:
            raise InvalidValueError(
                f"{folder} holds the accelerator {path.stem}, and the results of two would overwrite each other: give "
                f"another folder with --output, or --name {path.stem} to replace it"
            )
    if found:
        return read_json(found[0])
    for suffix in (".v", ".json", ".load.bin", ".safetensors"):
        path = folder / f"{name}{suffix}"
        if path.exists() and not _is_same(path, model) and not _is_made(path):
            raise InvalidValueError(
                f"{path} is there, and `sterna generate` did not make it: give another folder with --output, or --name"
            )
    return None


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and os.path.samefile(path, other)


def _is_made(path: Path) -> bool:
    """Whether a file is Verilog of ours, as a `sterna generate` leaves it that was stopped before it wrote the rest."""
    with path.open("rb") as file:
        return file.readline().startswith(f"// {path.stem}: made by `sterna generate`".encode())


def _replaced(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    if all(old.get(field) == new[field] for field in ("verilog_sha256", "network_digest", "config")):
        return None
    source = "" if old.get("network_digest") == new["network_digest"] else " from another network"
    config = old.get("config")
    options = f" with {_options(config)}" if isinstance(config, dict) and config != new["config"] else ""
    how = f"{source}{options}" or " by another version of Sterna"
    return f"replaced {path.stem} in {path.parent}: the old one was made{how}"


def _options(config: Mapping[str, Any]) -> str:
    """A configuration in NAME.json as options, those that are not the default's."""
    from sterna.hw import AcceleratorConfig

    usual = AcceleratorConfig().as_json()
    chosen = [
        f"{field} {','.join(map(str, value)) if isinstance(value, list) else value}"
        for field, value in config.items()
        if value != usual.get(field)
    ]
    return ", ".join(chosen) or "default options"


def load_accelerator(path: Path) -> tuple[Manifest, Network]:
    """The one accelerator in a folder (or of a NAME.json), and the network beside it that it was made from.

    Raises
    ------
    ValueError
        If there is none, or several, or if its files do not belong together.
    OSError
        If one cannot be read.
    """
    from sterna.net.file import load
    from sterna.sim.manifest import Manifest

    folder = path if path.is_dir() else path.parent
    found = accelerators(folder)
    if len(found) > 1:
        names = ", ".join(other.stem for other in found)
        raise InvalidValueError(
            f"{folder}: several accelerators in it ({names}), whose results would overwrite each other; give each a "
            "folder of its own"
        )
    manifest = Manifest.load(path)
    again = "run `sterna generate` again"
    beside = manifest.path.with_suffix(".safetensors")
    network = load(beside)
    if network.digest != manifest.network_digest:
        raise InvalidValueError(f"{beside}: not the network that {manifest.path.name} was made from; {again}")
    return manifest, network


def open_target(target: Path, output: Path | None, progress: Steps) -> tuple[Manifest, Network]:
    """The accelerator in a folder, or of a network file: that in the output folder, made if there is none."""
    from sterna.net.file import load

    if target.is_dir() or target.suffix == ".json":
        if output is not None:
            raise typer.BadParameter("is for a network file: results go beside an accelerator", param_hint="--output")
        return load_accelerator(target)
    folder = output or default_folder(target)
    digest = load(target).digest
    if not accelerators(folder):
        from sterna.hw import AcceleratorConfig

        progress(f"generating Verilog of {target}")
        return load_accelerator(make(target, folder, AcceleratorConfig())[0].path)
    manifest, network = load_accelerator(folder)
    if network.digest != digest:
        raise InvalidValueError(
            f"{folder} holds the accelerator of another network (digest {network.digest[:12]}..., not "
            f"{digest[:12]}...): replace it with `sterna generate`, or give another folder with --output"
        )
    progress.note(f"using {manifest.path}, made with {_options(read_json(manifest.path).get('config', {}))}")
    return manifest, network
