"""Builds the site from docs/ and from what the package itself knows, without a network: `python docs/build.py`.

docs/*.md are pages as they stand, readable in the repository too. Added are the catalogue of findings, a page for every
claim of the lecture with its figure, the notebooks, and pages of every package from its docstrings. A link to a file of
the repository leads to that file's page. A link, an anchor, a picture or a page of the navigation that is missing ends
the build. The result is build/site/index.html, which needs no server.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from nnlab.diagnosis.catalogue import CATALOGUE, Kind

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES, SITE = ROOT / "build" / "docs", ROOT / "build" / "site"  # as zensical.toml names them
FILES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "AGENTS.md": "agents.md"}
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
CODE = re.compile(r"^```.*?^```|`[^`]*`", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def main() -> int:
    """Write the pages and build the site; the exit code is that of the first step that fails."""
    shutil.rmtree(PAGES, ignore_errors=True)
    write_pages()
    missing = [*missing_files(), *missing_in_navigation()]
    if missing:
        print(*missing, sep="\n", file=sys.stderr)
        return 1
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", str(ROOT / "zensical.toml")]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode


def write_pages() -> None:
    """Write all pages and pictures."""
    for path, text in pages().items():
        write(PAGES / path, in_site(text, PurePosixPath(origin(path)), PurePosixPath(path)))
    for picture in [*DOCS.glob("figures/*"), *ROOT.glob("experiments/*/figure.png")]:
        target = PAGES / picture.relative_to(DOCS if DOCS in picture.parents else ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, target)


def pages() -> dict[str, str]:
    """The text of every page by its path in the site."""
    found = {str(path.relative_to(DOCS).as_posix()): path.read_text("utf-8") for path in sorted(DOCS.rglob("*.md"))}
    found |= {target: (ROOT / source).read_text("utf-8") for source, target in FILES.items()}
    for readme in sorted(ROOT.glob("experiments/*/README.md")):
        text = readme.read_text("utf-8")
        found[f"experiments/{readme.parent.name}/index.md"] = text + "\n![The measured evidence](figure.png)\n"
    for notebook in sorted(ROOT.glob("notebooks/*.py")):
        found[f"notebooks/{notebook.stem}.md"] = as_page(notebook.read_text("utf-8"))
    found["findings.md"] = findings()
    found["experiments/index.md"] = experiments()
    found |= {f"api/{name}.md": text for name, text in api().items()}
    return found


def origin(path: str) -> str:
    """Where a page's text lies in the repository; its links start there."""
    sources = {target: source for source, target in FILES.items()}
    if path in sources:
        return sources[path]
    if path.startswith("experiments/"):
        return path.replace("index.md", "README.md")
    return f"docs/{path}"


def in_site(text: str, source: PurePosixPath, page: PurePosixPath) -> str:
    """A page's text with links to files of the repository turned into links to their pages."""
    pieces, end = [], 0
    for block in FENCE.finditer(text):  # code is no text
        pieces += [_linked(text[end : block.start()], source, page), block.group()]
        end = block.end()
    return "".join([*pieces, _linked(text[end:], source, page)])


def _linked(text: str, source: PurePosixPath, page: PurePosixPath) -> str:
    def target(match: re.Match[str]) -> str:
        before, address, after = match.groups()
        path, hash_, anchor = address.partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            return match.group()
        place = in_the_site(os.path.normpath(source.parent / path).replace(os.sep, "/"))
        place, _, own = place.partition("#")
        relative = os.path.relpath(place, page.parent).replace(os.sep, "/")
        return f"{before}{relative}{'#' if own or hash_ else ''}{own or anchor}{after}"

    return LINK.sub(target, text)


def in_the_site(file: str) -> str:
    """The place in the site of a file of the repository.

    >>> in_the_site("docs/study.md"), in_the_site("nnlab/optimizer/adam.py"), in_the_site("nnlab/data/augmentation")
    ('study.md', 'api/optimizer.md#nnlab.optimizer.adam', 'api/data.md#nnlab.data.augmentation')
    """
    if file in FILES:
        return FILES[file]
    if file.startswith("docs/"):
        return file.removeprefix("docs/")
    if file.startswith("nnlab/"):
        module = file.removesuffix(".py").replace("/", ".")
        package = module.split(".")[1]
        return f"api/{package}.md" + (f"#{module}" if module.count(".") > 1 else "")
    if file.startswith("notebooks/"):
        return file.replace(".py", ".md")
    if file.endswith("/README.md"):
        return file.replace("README.md", "index.md")
    return file


def as_page(notebook: str) -> str:
    """A notebook in jupytext's percent format as a page, without its outputs.

    >>> as_page("# header\\n# %% [markdown]\\n# # Title\\n# %%\\nx = 1\\n")
    '# Title\\n\\n```python\\nx = 1\\n```\\n'
    """
    parts = []
    for cell in re.split(r"^# %%", notebook, flags=re.MULTILINE)[1:]:
        kind, _, text = cell.partition("\n")
        if "markdown" in kind:
            parts.append("\n".join(line.removeprefix("#").removeprefix(" ") for line in text.strip().splitlines()))
        else:
            parts.append(f"```python\n{text.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def findings() -> str:
    """The catalogue of findings as a page."""
    kinds: dict[str, list[Kind]] = {}
    for kind in CATALOGUE:
        kinds.setdefault(kind.name, []).append(kind)
    head = (
        "# What can be found\n\n"
        "Every kind of finding that `nnlab diagnose`, the end of a run and the recipe know, the most basic first. "
        "What a cause explains is listed beneath it and not on its own. A *fault* is to be mended; a *note* is worth "
        "knowing. A *symptom* names what happened and not why. How each is measured: "
        "[What is wrong with my run?](diagnosis.md)\n"
    )
    return "\n".join([head, *(_finding(name, places) for name, places in kinds.items())])


def _finding(name: str, places: list[Kind]) -> str:
    why = next((kind.why for kind in places if kind.why), "The finding itself says why, with its numbers.")
    words = [places[0].severity, *(["symptom"] if any(kind.symptom for kind in places) else [])]
    explains = dict.fromkeys(each for kind in places for each in kind.explains)
    listed = ", ".join(f"[{_words(each)}](#{each})" for each in explains)
    parts = [f"## {_words(name)} {{ #{name} }}", f"`{name}` ({', '.join(words)}). {why}"]
    return "\n\n".join([*parts, *([f"It explains: {listed}."] if listed else []), ""])


def _words(name: str) -> str:
    return name.replace("_", " ")


def experiments() -> str:
    """The list of the lecture's claims as a page."""
    lines = [(ROOT / "experiments" / "README.md").read_text("utf-8"), "", "## All claims", ""]
    for readme in sorted(ROOT.glob("experiments/*/README.md")):
        title = readme.read_text("utf-8").partition("\n")[0].lstrip("# ")
        lines.append(f"- [{title}]({readme.parent.name}/README.md)")
    return "\n".join(lines) + "\n"


def api() -> dict[str, str]:
    """A page for the package's functions, and one for each of its packages, with their modules."""
    found = {"nnlab": "# nnlab\n\n::: nnlab\n    options:\n      heading_level: 2\n      show_source: false\n"}
    for package in sorted(path.parent for path in (ROOT / "nnlab").glob("*/__init__.py")):
        modules = [*_modules(package)]
        parts = [f"# nnlab.{package.name}", f"::: nnlab.{package.name}\n    options:\n      members: false"]
        parts += [f"::: {module}" for module in modules if module != f"nnlab.{package.name}"]
        found[package.name] = "\n\n".join(parts) + "\n"
    return found


def _modules(package: Path) -> Iterator[str]:
    """The modules of a package and of those within it."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def missing_files() -> Iterator[str]:
    """Links to files that are not in the site, which Zensical checks for pages alone."""
    for page in sorted(PAGES.rglob("*.md")):
        for _, address, _ in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
            path = address.partition("#")[0]
            if path and "://" not in path and not (page.parent / path).exists():
                yield f"{page.relative_to(PAGES)}: there is no {address}"


def missing_in_navigation() -> Iterator[str]:
    """Pages of docs/ that the navigation does not name."""
    named = str(tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"])
    for page in sorted(DOCS.rglob("*.md")):
        if f"'{page.relative_to(DOCS).as_posix()}'" not in named:
            yield f"zensical.toml: {page.relative_to(DOCS).as_posix()} is not in the navigation"


def write(path: Path, text: str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    sys.exit(main())
