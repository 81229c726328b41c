"""Safetensors files damaged at random, as bytes and as JSON, and what loading one of them must do."""

from __future__ import annotations

import copy
import json
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from sterna.net import FileFormatError

SECONDS = 5.0  # of processor time, for files that take milliseconds
ALLOWANCE = 4 << 20  # bytes that loading may take, whatever the file
TIMES = 32  # ... and as many bytes for each of the file's: JSON's lists take that much
_DEEP, _LONG = "@deep@", "@long@"  # stand for what json.dumps does not write: see _text
_NUMBERS = (
    *(0, 1, -1, 2, 3, 5, 7, 8, 255, 256, 4096, 65536, 10**6),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**33, 2**40, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64),
    *(-(2**31), -(2**63), 10**30, 10**400, -(10**400), 10**4200),
    *(0.5, -0.0, 1.0, 1e-320, 1e308, float("inf"), float("-inf"), float("nan")),
)
_OTHERS = (
    *(None, True, False, "", "x", "input", "a.b", "\ud800", "\n", "🙂", "9" * 500),
    *([], {}, [[]], [{}], {"": []}, [0], [1] * 70),
)


def damaged(content: bytes, key: str, rng: random.Random) -> bytes:
    """A file like ``content``, whose header is under ``key``, with one to three things wrong with it."""
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        kinds = (_cut, _flip, _grow, _prefix, _tensors, *[_header] * 10)  # safetensors itself finds the other kinds
        with suppress(ValueError, KeyError, TypeError, RecursionError):  # what was damaged before may be no JSON
            content = rng.choice(kinds)(content, key, rng)
    return content


def check_load(load: Callable[[Path], Any], path: Path, content: bytes) -> bool:
    """Whether ``load`` took the file. It may also refuse it, but neither hang, nor take much memory, nor fail else."""
    path.unlink(missing_ok=True)  # to write over a file makes some file systems wait for the disk
    path.write_bytes(content)
    start = time.process_time()
    tracemalloc.start()
    try:
        load(path)
        message = None
    except FileFormatError as error:
        message = str(error)
    except OSError as error:
        message = f"{path}: {error}"
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.process_time() - start < SECONDS
    assert peak < ALLOWANCE + TIMES * len(content)
    if message is not None:
        assert message.startswith(f"{path}: ")
        assert len(message.encode()) < 4000  # encodes: a lone surrogate in it would stop whoever prints it
    return message is None


def _cut(content: bytes, key: str, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _flip(content: bytes, key: str, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4) if content else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _grow(content: bytes, key: str, rng: random.Random) -> bytes:
    at, start = rng.randrange(len(content) + 1), rng.randrange(len(content) + 1)
    more = rng.choice((rng.randbytes(rng.randint(1, 40)), bytes(rng.randint(1, 4000)), content[start : start + 300]))
    return content[:at] + more + content[at:]


def _prefix(content: bytes, key: str, rng: random.Random) -> bytes:
    length = rng.choice((0, 1, 2**63, 2**64 - 1, rng.randrange(2 * len(content) + 2)))
    return length.to_bytes(8, "little") + content[8:]


def _header(content: bytes, key: str, rng: random.Random) -> bytes:
    """The Sterna header with other values in it."""
    outer, data = _split(content)
    header = json.loads(outer["__metadata__"][key])
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change(header, rng)
    outer["__metadata__"][key] = _text(header, rng)
    return _join(_text(outer, rng), data)


def _tensors(content: bytes, key: str, rng: random.Random) -> bytes:
    """The tensors' entries with other types, shapes and places."""
    outer, data = _split(content)
    types = ("BOOL", "U8", "I8", "F8_E4M3", "U16", "F16", "BF16", "I32", "U32", "F32", "I64", "U64", "F64", "C64", "F4")
    entries = [entry for name, entry in outer.items() if name != "__metadata__" and isinstance(entry, dict)]
    if entries and rng.random() < 0.6:
        entry = rng.choice(entries)
        entry["dtype"] = rng.choice(types)
        if rng.random() < 0.5:
            entry["shape"] = rng.choice(([0, 2**63], [0, 2**40, 2**40], [1] * 70, [], [0], entry.get("shape")))
            entry["data_offsets"] = rng.choice(([0, 0], entry.get("data_offsets")))
    else:
        _change(outer, rng)
    return _join(_text(outer, rng), data)


def _split(content: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(content[:8], "little")
    outer = json.loads(content[8 : 8 + length].decode("utf-8", errors="replace"))
    if not isinstance(outer, dict):
        raise ValueError("no object")
    return outer, content[8 + length :]


def _join(text: str, data: bytes) -> bytes:
    outer = text.encode("utf-8", errors="replace")
    return len(outer).to_bytes(8, "little") + outer + data


def _text(value: Any, rng: random.Random) -> str:
    depth = rng.choice((3, 60, 70, 900, 20000))
    text = json.dumps(value).replace(f'"{_DEEP}"', "[" * depth + "]" * depth)
    return text.replace(f'"{_LONG}"', "9" * 5000)


def _change(document: dict[str, Any], rng: random.Random) -> None:
    """One value of the document replaced, removed, repeated or added."""
    places = list(_places(document))
    if not places:
        return
    within, at = rng.choice(places)
    action = rng.random()
    if action < 0.1:
        del within[at]
    elif action < 0.2:
        source, place = rng.choice(places)
        within[at] = json.loads(json.dumps(source[place]))  # a copy: no value may hold itself
    elif action < 0.25 and isinstance(within, list):
        within.extend([within[at]] * rng.choice((1, 5, 70)))
    elif action < 0.3 and isinstance(within, dict):
        within[rng.choice(("extra", "", "\ud800", "9" * 500, "name", "bias"))] = _value(rng, None)
    else:
        within[at] = _value(rng, within[at])


def _value(rng: random.Random, old: Any) -> Any:
    if isinstance(old, int) and abs(old) < 2**64 and rng.random() < 0.4:
        return rng.choice((old + 1, old - 1, -old, 2 * old, old * 10**6, float(old), [old], str(old)))
    choice = rng.random()
    if choice < 0.55:
        return rng.choice(_NUMBERS)
    if choice < 0.7:
        return [rng.choice(_NUMBERS) for _ in range(rng.choice((1, 2, 3, 4)))]
    return copy.deepcopy(rng.choice((*_OTHERS, _DEEP, _DEEP, _LONG)))  # it will be changed itself


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a document: the list or object, and the index or key."""
    left = [value]
    while left:
        within = left.pop()
        keys = list(within) if isinstance(within, dict) else range(len(within))
        for at in keys:
            yield within, at
            if isinstance(within[at], (dict, list)):
                left.append(within[at])
