"""Every claim of the book has a test, and every mark of a test has a claim."""

import importlib.util
import tomllib

import pytest

from genlab.course import registry


def test_every_theorem_of_the_book_is_proved_by_a_test(root):
    labels, proved = registry.labels(root), registry.marks(root, "proves")
    assert len(labels) >= 15
    assert not [label for label in labels if label.startswith("unlabelled")]
    assert set(labels) - set(proved) == set(), "labels without a test"
    assert set(proved) - set(labels) == set(), "tests of labels that are not in the book"


def test_every_row_of_a_finished_chapter_is_covered_by_a_test(root):
    rows, slips = registry.taught(root), registry.slips(root)
    covered = set(registry.marks(root, "covers"))
    assert set(rows) - covered == set(), "rows of book/curriculum.toml without a test"
    assert set(slips) - covered == set(), "rows of book/errata.toml without a test"


# How many rows of the lectures each finished chapter teaches, and how many slips it corrects.
ROWS = {
    "models": (26, 3),
    "density": (25, 13),
    "divergences": (27, 9),
    "em": (11, 4),
    "early": (17, 7),
    "variational": (34, 17),
    "flows": (24, 12),
    "autoregressive": (20, 5),
    "gans": (31, 12),
    "unified": (14, 8),
    "knowledge": (17, 8),
}


@pytest.mark.parametrize("chapter", ROWS)
def test_a_finished_chapter_brings_all_its_rows(root, chapter):
    both = registry.taught(root), registry.slips(root)
    found = tuple(sum(row["chapter"] == chapter for row in rows.values()) for rows in both)
    assert found == ROWS[chapter]


@pytest.mark.parametrize("file", ["curriculum", "errata"])
def test_rows_are_complete_and_belong_to_a_chapter(root, file):
    keys = {"curriculum": {"chapter", "teaches", "source"}}.get(
        file, {"chapter", "printed", "right", "shown"}
    )
    for name, row in tomllib.loads((root / "book" / f"{file}.toml").read_text()).items():
        assert set(row) == keys, name
        assert all(row.values()), name
        assert importlib.util.find_spec(f"genlab.{row['chapter']}"), name


def test_every_chapter_has_its_five_parts(root):
    for page in sorted((root / "book").glob("[0-9][0-9]_*.md")):
        slug = page.stem[3:]
        assert importlib.util.find_spec(f"genlab.{slug}")
        for part in (
            root / "solutions" / f"{page.stem}.py",
            root / "solutions" / f"{page.stem}.ipynb",
            root / "exercises" / f"{page.stem}.ipynb",
            root / "tests" / f"test_{slug}.py",
        ):
            assert part.is_file(), f"{page.name} has no {part.relative_to(root)}"


def test_contents_and_pages_agree(root):
    toc = (root / "_toc.yml").read_text()
    for page in (root / "book").glob("*.md"):
        assert f"book/{page.stem}" in toc, f"{page.name} is not in _toc.yml"
    for notebook in (root / "exercises").glob("*.ipynb"):
        assert f"exercises/{notebook.stem}" in toc
    assert "solutions/" not in toc
