"""The pages of the site are complete, and what Zensical does not check is: files, and pages that nobody finds."""

from __future__ import annotations

import doctest
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from nnlab.diagnosis.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_of_the_site", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_examples_in_the_builder_hold(build: ModuleType) -> None:
    assert doctest.testmod(build).failed == 0


def test_every_finding_of_the_catalogue_is_on_its_page(build: ModuleType) -> None:
    page = build.findings()
    for kind in CATALOGUE:
        assert f"{{ #{kind.name} }}" in page
        assert kind.why in page or any(other.why in page for other in CATALOGUE if other.name == kind.name)


def test_every_page_of_docs_is_in_the_navigation(build: ModuleType) -> None:
    assert list(build.missing_in_navigation()) == []


def test_links_lead_to_files_and_a_dead_one_is_named(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "PAGES", tmp_path)
    build.write_pages()
    assert list(build.missing_files()) == []
    (tmp_path / "tables.md").write_text("[gone](gone.md) ![gone](figures/gone.png) `[code](code.md)`\n")
    assert [line.split(" no ")[1] for line in build.missing_files()] == ["gone.md", "figures/gone.png"]
