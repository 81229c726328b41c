"""README.md and docs/: links lead somewhere, named files exist, and every picture has a script that draws it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "models" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
#: Pictures that docs/figures/draw.py does not draw, and the file that does.
DRAWN_ELSEWHERE = {
    "accuracy-zeros.png": "benchmarks/training_page.py",
    "accuracy-speed.png": "benchmarks/speed_page.py",
    "generation.png": "benchmarks/generation_page.py",
}
LINK = re.compile(r"\]\(([^)\s]+)\)")
#: A file or folder of the project, by its path, as `hw/parts/fifo.py` or `docs/figures/`.
NAMED = re.compile(
    r"(?<![\w/.-])((?:net|codes|train|sim|hw|flow|imports|cli|tests|tools|docs|benchmarks|recipes|models|examples)/[\w/.-]*\w/?)"
)
#: Parts of those pages that name files which a command makes.
MADE = re.compile(r"docs/NAME\.png|models/NAME\S*")


def links(page: Path) -> list[str]:
    """Targets of a page's links and pictures, code blocks left out."""
    return LINK.findall(re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL))


def broken_links(page: Path) -> list[str]:
    """Relative links of a page that lead to no file, or to no heading."""
    broken = []
    for link in links(page):
        if "://" in link or link.startswith("mailto:"):
            continue
        target, _, heading = link.partition("#")
        path = page.parent / target if target else page
        if not path.exists() or (heading and heading not in headings(path)):
            broken.append(link)
    return broken


def headings(page: Path) -> set[str]:
    """Anchors that GitHub gives to a page's headings and that the page gives itself."""
    text = page.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    return anchors | set(re.findall(r'<a (?:name|id)="([^"]+)"', text))


def missing_files(page: Path) -> list[str]:
    """Files and folders of the project that a page names and that are not there."""
    text = MADE.sub("", page.read_text(encoding="utf-8"))
    return [name for name in NAMED.findall(text) if not (ROOT / name).exists() and not (page.parent / name).exists()]


def missing_names(page: Path) -> list[str]:
    """Names such as ``sterna.net.load`` that a page says or imports in its Python, and that are not there."""
    text = page.read_text(encoding="utf-8")
    said = set(re.findall(r"\bsterna\.([a-z_]+(?:\.\w+)*)", text))
    for module, names in re.findall(r"^from sterna\.([\w.]+) import (.+)$", text, flags=re.MULTILINE):
        said |= {f"{module}.{name.strip().split(' ')[0]}" for name in names.split("#")[0].split(",")}
    return sorted(name for name in said if not exists(name.split(".")))


def exists(parts: list[str]) -> bool:
    """Whether there is such a module, or a module with such a name in it."""
    path = ROOT
    for k, part in enumerate(parts):
        if (path / part).is_dir():
            path /= part
            continue
        module = path / f"{part}.py"
        rest = parts[k + 1 :] if module.is_file() else parts[k:]
        source = module if module.is_file() else path / "__init__.py"
        return len(rest) < 2 and all(re.search(rf"\b{name}\b", source.read_text(encoding="utf-8")) for name in rest)
    return True


def pictures() -> dict[str, list[str]]:
    """Every picture that a page shows, by its path, and the pages."""
    shown: dict[str, list[str]] = {}
    for page in PAGES:
        for link in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            path = (page.parent / link).resolve().relative_to(ROOT).as_posix()
            shown.setdefault(path, []).append(page.name)
    return shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_names_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []
    assert missing_files(page) == []
    assert missing_names(page) == []


def test_every_picture_has_its_script_and_a_text_for_those_who_do_not_see_it() -> None:
    shown = pictures()
    assert shown
    for path in shown:
        name = Path(path).name
        script = DRAWN_ELSEWHERE.get(name, f"docs/figures/{Path(path).stem}.py")
        assert name in (ROOT / script).read_text(encoding="utf-8"), f"{script} does not say that it draws {path}"
    for page in PAGES:
        assert "![](" not in page.read_text(encoding="utf-8")


def test_every_committed_picture_is_shown() -> None:
    drawn = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.png")}
    assert drawn == {path for path in pictures() if path.startswith("docs/")}


def test_a_broken_page_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A title, with signs\n[a](gone.md) [b](page.md#a-title-with-signs) [c](#nowhere) `hw/lane.py`, hw/parts/ "
        "`sterna.net.load` `sterna.net.coeds` `sterna.sim.golden.GoldenModel`\n"
        "from sterna.net import load, unload  # as\n"
    )
    assert broken_links(page) == ["gone.md", "#nowhere"]
    assert missing_files(page) == ["hw/lane.py"]
    assert missing_names(page) == ["net.coeds", "net.unload"]
