"""The documentation hangs together: every page is found from docs/README.md, every link leads somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text(page: Path) -> str:
    """Without what stands there as an example."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """File and heading of each link within the repository."""
    for address in LINK.findall(text(page)):
        if not re.match(r"[a-z]+:", address):
            path, _, heading = address.partition("#")
            yield (page.parent / path).resolve() if path else page, heading


def headings(page: Path) -> set[str]:
    """As links name them: in small letters, blanks as hyphens, other signs left out."""
    titles = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("folder", [DOCS, DOCS / "decisions"], ids=lambda folder: folder.name)
def test_each_page_is_in_the_list_of_its_folder(folder: Path) -> None:
    listed = {target for target, _ in links(folder / "README.md")}
    assert [page.name for page in folder.glob("*.md") if page.name != "README.md" and page not in listed] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_its_links_lead_somewhere(page: Path) -> None:
    found = list(links(page))
    assert [str(target) for target, _ in found if not target.exists()] == []
    assert [name for target, name in found if name and name not in headings(target)] == []


def test_files_that_newcomers_are_sent_to_exist() -> None:
    """CONTRIBUTING and the architecture name files in code type; those must keep up with the code."""
    for page in (ROOT / "CONTRIBUTING.md", DOCS / "architecture.md"):
        code = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        named = re.findall(r"`((?:api|deploy|docs|migrations|pages|provision|scripts|tests|webui)/[\w./-]*)", code)
        assert len(named) > 10
        assert [name for name in named if not (ROOT / name).exists()] == [], page.name
