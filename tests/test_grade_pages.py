"""What a class and its instructor read: pages that are valid, safe and clear, and tables of marks.

Nothing is graded here: the results are written down.
"""

import csv
import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from urllib.parse import unquote

import grading
import pytest
from bs4 import BeautifulSoup

from genlab.course.grade import feedback, results, statistics
from genlab.course.grade.submissions import Submission
from genlab.course.root import CourseError

MOODLE = "Ada Lovelace_101_assignsubmission_file_/01_density.ipynb"
CANVAS = "hopperada_12_345_01_density.ipynb"
VOID = {"meta", "br", "img", "link", "hr", "input"}


def graded(student, *exercises, file="", number="", reason=None):
    """A result; of each exercise its points, of two, and the reason."""
    rows = [
        {"number": f"1.{i}", "title": f"Title {i}", "points": p, "of": 2, "reason": why}
        | {"seconds": 0.25, "answer": f"def f{i}(x):\n    return x < {i}"}
        for i, (p, why) in enumerate(exercises, start=1)
    ]
    outcome = {"exercises": rows, "reason": reason, "sandbox": None}
    file = file or f"{student}/01_density.ipynb"
    about = Submission(student, number, file, "01_density")
    one = results.result(about, grading.small_key(), "", outcome)
    return one | {"of": 4}


RIGHT, UNTRIED, WRONG = (2, ""), (0, "not attempted"), (0, "not yet, because twice 3 is 6")


def a_class(n=12):
    """Students of whom those who have 1.1 right have 1.2 wrong, and one who was not graded."""
    wrong = [(0, f"not yet, because {i}.5 is not 6") for i in range(n)]
    rows = [(RIGHT, wrong[i]) if i % 3 else (wrong[i], RIGHT) for i in range(n)]
    found = [graded(f"student {i:02}", *row) for i, row in enumerate(rows)]
    return [*found, graded("torn", reason="it is not JSON"), graded("Ada", RIGHT, RIGHT)]


def summary(found):
    return statistics.page(found, {"01_density": grading.small_key()})


class Nested(HTMLParser):
    """Fails where an element is closed that is not the one which is open, or ids are not unique."""

    def __init__(self, page):
        super().__init__()
        self.open, self.ids = [], []
        self.feed(page)
        assert self.open == []
        assert len(self.ids) == len(set(self.ids))

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        self.open += [] if tag in VOID else [tag]

    def handle_startendtag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


PAGES = {
    "good": lambda: feedback.page(graded("Ada", RIGHT, RIGHT)),
    "middling": lambda: feedback.page(graded("Ben", WRONG, UNTRIED)),
    "second best": lambda: feedback.page(graded("Ben", WRONG, UNTRIED), counts=False),
    "not graded": lambda: feedback.page(graded("Cem", reason="it is not JSON")),
    "summary": lambda: summary(a_class()),
    "summary of one": lambda: summary([graded("Ben", WRONG, UNTRIED)]),
    "summary of none": lambda: summary([graded("Cem", reason="it is not JSON")]),
}


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_is_well_formed_and_readable_by_those_who_do_not_see_it(kind):
    page = PAGES[kind]()
    Nested(page)
    soup = BeautifulSoup(page, "html.parser")
    assert soup.html["lang"] == "en"
    assert soup.title.string
    levels = [int(heading.name[1]) for heading in soup.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    for table in soup.find_all("table"):
        assert all(cell.get_text() for cell in table.thead.find_all("th", scope="col"))
        assert all(row.find("th", scope="row") for row in table.tbody.find_all("tr"))
    for wide in soup.find_all(["pre", "div"]):  # what scrolls can be reached and has a name
        assert wide["tabindex"] == "0"
        assert wide["aria-label"]
    for drawn in soup.find_all("svg"):
        assert drawn["role"] == "img"
        assert len(drawn["aria-label"]) > 20
    for a in soup.find_all("a", href=re.compile("^#")):
        assert soup.find(id=a["href"][1:])
    assert not soup.find_all(["script", "img", "iframe", "link"])
    assert "http" not in re.sub(r'http-equiv|xmlns(:\w+)?="[^"]+"', "", page)


def test_a_student_sees_at_once_what_came_of_each_exercise_and_what_to_do():
    soup = BeautifulSoup(feedback.page(graded("Ben", WRONG, UNTRIED)), "html.parser")
    rows = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in soup.find_all("tr")]
    assert rows[1:] == [
        ["1.1 Title 1", "not yet", "0 of 2"],
        ["1.2 Title 2", "not attempted", "0 of 2"],
    ]
    first = soup.find(id="e0").get_text()
    assert "Not yet, because twice 3 is 6." in first
    assert "return x < 1" in first
    advice = soup.find("h2", string="What to do next").find_next("ul").get_text()
    assert "NotImplementedError" in advice
    assert "restart the kernel" in advice
    right = BeautifulSoup(feedback.page(graded("Ada", RIGHT, RIGHT)), "html.parser")
    assert right.find("h2", string="What to do next") is None


def test_why_a_notebook_was_not_graded_is_said_once_and_with_what_to_do():
    page = feedback.page(graded("Cem", reason="it is not JSON"))
    assert page.count("it is not JSON") == 1
    assert "hand it in again" in page


def test_a_notebook_without_a_chapter_is_not_told_that_another_counts():
    one = graded("empty", reason="there is no notebook in it") | {"chapter": "", "of": 0}
    assert "Another notebook" not in feedback.page(one, counts=False)
    assert "0 of 0" not in feedback.page(one, counts=False)


def test_what_is_not_seen_or_turns_the_text_round_is_shown_as_a_mark():
    page = feedback.page(graded("a\u202eb\x00\x1b[31m", (0, "not yet, because \ud800")))
    assert not re.search("[\x00\x1b\u202e\ud800]", page)
    assert "a�b��[31m" in page


def test_the_instructor_sees_who_was_not_graded_and_which_exercise_to_look_at():
    soup = BeautifulSoup(summary(a_class()), "html.parser")
    assert soup.p.get_text() == "13 notebooks graded, 1 not."
    text = soup.get_text(" ", strip=True)
    assert "torn" in soup.find("h2", string="Not graded").find_next("table").get_text()
    assert "13 students. Points, of 5: mean 2.2" in text
    looked_at = [row for row in soup.find_all("tr") if "look at it" in row.get_text()]
    assert [row.th.get_text()[:3] for row in looked_at] == ["1.1", "1.2"]
    assert "1.2, 8 students: 1.5 is not 6" in text


def test_those_who_were_not_graded_do_not_count_in_the_figures():
    some = a_class()
    whole = BeautifulSoup(summary(some), "html.parser")
    fewer = BeautifulSoup(summary([one for one in some if not one["reason"]]), "html.parser")
    tables = [page.find("h3", string="Exercises").find_next("table") for page in (whole, fewer)]
    assert tables[0].get_text() == tables[1].get_text()


def test_a_name_in_the_summary_leads_to_the_page_of_its_student(tmp_path):
    names = "Ada", "王小明", "محمد علي", "Müller, Jürgen", "../x", "<b>", "%41?#", "नमस्ते", "..."
    found = [graded(name, RIGHT, WRONG) for name in names]
    places = {
        str(results.place(tmp_path, Submission(one["student"], "", one["file"], "01_density")))
        for one in found
    }
    table = BeautifulSoup(summary(found), "html.parser").find("h3", string="Students")
    links = [unquote(a["href"]) for a in table.find_next("table").find_all("a")]
    assert len(set(links)) == len(names)
    assert {f"{tmp_path}/{link}".replace("/feedback/", "/results/") for link in links} == {
        place.replace(".json", ".html") for place in places
    }
    assert {link.count("/") for link in links} == {2}
    assert any("王小明-" in link for link in links)
    assert any("/muller-jurgen-" in link for link in links)


def rows_of(table):
    text = results.table(table)
    assert text.startswith("\ufeff")  # by which Excel knows UTF-8
    return list(csv.reader(io.StringIO(text[1:])))


def test_a_number_of_moodle_is_no_number_of_canvas_and_the_other_way_round():
    found = [
        graded("Ada Lovelace", RIGHT, WRONG, file=MOODLE, number="101"),
        graded("hopperada", RIGHT, RIGHT, file=CANVAS, number="12"),
    ]
    canvas = rows_of(results.canvas(found, {"01_density": grading.small_key()}))
    assert [row[:2] for row in canvas[2:]] == [["Ada Lovelace", ""], ["hopperada", "12"]]
    moodle = rows_of(results.moodle(found))
    assert moodle[0][1:6:4] == ["Identifier", "Last modified (grade)"]
    assert [row[1:4] for row in moodle[1:]] == [
        ["Participant 101", "Ada Lovelace", "2"],
        ["", "hopperada", "4"],
    ]
    assert moodle[1][-1] == "1.2: not yet, because twice 3 is 6"


@pytest.mark.parametrize(
    "name",
    [
        "=cmd()",
        "+49",
        "-1",
        "@SUM(A1)",
        " =1",
        "\t=1",
        "\n=1",
        "＝1",
        "O'Neil, Seán",
        '"Zed"',
        "a;b",
    ],
)
def test_a_name_comes_through_a_table_as_it_is_and_is_no_formula(name):
    rows = rows_of(results.canvas([graded(name, RIGHT)], {"01_density": grading.small_key()}))
    assert rows[2][0].removeprefix("'") == name
    assert not re.match(r"\s*[=+\-@＝]", rows[2][0])


def test_rows_of_a_chapter_stand_together():
    found = [
        graded(name, RIGHT) | {"chapter": chapter}
        for name in ("Ada", "Ben")
        for chapter in ("02_divergences", "01_density")
    ]
    rows = rows_of(results.moodle(found))[1:]
    assert [(row[0], row[2]) for row in rows] == [
        ("01_density", "Ada"),
        ("01_density", "Ben"),
        ("02_divergences", "Ada"),
        ("02_divergences", "Ben"),
    ]


def test_a_reason_that_is_long_or_no_text_is_stored_all_the_same(tmp_path):
    one = graded("eve", (0, "x" * 5000 + "\ud800"), (0, "\ud800"))
    assert len(one["exercises"][0]["reason"]) < 2100
    assert one["exercises"][0]["reason"].endswith("and 3,001 characters more")
    for name, text in (
        ("one.json", results.dumps(one)),
        ("one.html", feedback.page(one)),
        ("summary.html", summary([one])),
        ("moodle.csv", results.table(results.moodle([one]))),
    ):
        results.write(tmp_path / name, text)
    assert json.loads((tmp_path / "one.json").read_text(encoding="utf8")) == one


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(CourseError, match=r"taken/x\.json cannot be written: .* --out grades"):
        results.write(tmp_path / "taken" / "x.json", "{}")


def test_a_page_is_the_same_whenever_it_is_made():
    assert summary(a_class()) == summary(a_class())
