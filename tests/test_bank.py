"""The question bank: what Moodle and Canvas are given.

The schemas in tests/schemas are written for these tests: each describes the part of a format that
genlab writes. ``qti.xsd`` follows the element declarations of IMS's own DTD of QTI 1.2.1
(ims_qtiasiv1p2p1.dtd), ``package.xsd`` those of IMS Content Packaging 1.1.4; the originals are not
kept here, as their terms do not clearly allow it. Moodle publishes no schema of its XML; its
documentation of the format is what ``moodle.xsd`` follows.
"""

import io
import zipfile
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

import pytest
import xmlschema
from bs4 import BeautifulSoup

from genlab.course.questions import Question, read
from genlab.course.release import bank
from genlab.course.release.as_html import converter
from genlab.course.release.plan import Chapter, Plan
from genlab.course.root import CourseError

ROOT = Path(__file__).parents[1]
SCHEMAS = Path(__file__).parent / "schemas"
QTI = {"q": "http://www.imsglobal.org/xsd/ims_qtiasiv1p2"}
PACKAGE = {"p": "http://www.imsglobal.org/xsd/imscp_v1p1"}

CONFIG = r"""
parse:
  myst_enable_extensions: [amsmath, attrs_inline, colon_fence, deflist, dollarmath, substitution]
sphinx:
  config:
    mathjax3_config:
      tex:
        macros:
          pdata: '\class{t-truth}{p_{\mathrm{data}}}'
          phat: '\class{t-model}{\hat p}'
"""

DENSITY = r"""
# Density estimation

```{prf:theorem} Inversion
:label: thm-inversion
…
```

:::{question} Is $\phat < \pdata$ & does `a<b` hold?
:name: density-signs
- [ ] "No" ]]> 'never' <!-- -->

  See {prf:ref}`thm-inversion`, {eq}`eq-one` and {cite:t}`fisher1922`.
- [x] *Ja*, ∀ ε > 0 — &amp; so on

  $$ \pdata(x) < \pdatax $$
- [ ] Only [there](02_divergences.md) or [here](https://example.org/?a=1&b=2)

  - one
  - two {cite}`scheffe1947,fisher1922`
:::

:::{question} Which?
:name: density-which
- [x] One

  Yes.
- [ ] Two

  No.
- [x] Three

  Yes, too.
- [x] Four

  And this.
:::
"""

DIVERGENCES = """
# Divergences / distances

:::{question} How much?
:name: divergences-much
:answer: -1.5
:tolerance: 0.25
By *one half* too little.
:::

:::{question} Why?
:name: divergences-why
Therefore.
:::
"""

SOURCES = r"""
@article{fisher1922, author = {Fisher, Ronald A.}, title = {T}, journal = {J}, year = {1922}}
@article{scheffe1947, author = {Scheff{\'e}, Henry and Two, B. and Three, C.}, title = {T},
  journal = {J}, year = {1947}}
"""


def planned(*names: str) -> Plan:
    return Plan("Generative models", "", "", "main", "", {n: Chapter(n, {}) for n in names})


@pytest.fixture
def course(tmp_path) -> Path:
    (tmp_path / "book").mkdir()
    for name, text in {
        "_config.yml": CONFIG,
        "book/01_density.md": DENSITY,
        "book/02_divergences.md": DIVERGENCES,
        "book/references.bib": SOURCES,
    }.items():
        (tmp_path / name).write_text(text, encoding="utf8")
    return tmp_path


def moodle(folder: Path) -> list[ElementTree.Element]:
    return list(ElementTree.parse(folder / "moodle.xml").getroot())


def canvas(folder: Path) -> dict[str, ElementTree.Element]:
    """The items of all quizzes by their titles."""
    with zipfile.ZipFile(folder / "canvas.zip") as archive:
        quizzes = [archive.read(n) for n in archive.namelist() if n != "imsmanifest.xml"]
    items = [i for quiz in quizzes for i in ElementTree.fromstring(quiz).iterfind(".//q:item", QTI)]
    return {item.get("title"): item for item in items}


def words(html: str) -> str:
    return " ".join(BeautifulSoup(html, "html.parser").get_text().split())


def validate(folder: Path) -> None:
    """Moodle's file, and every file in Canvas's archive, which the manifest lists."""
    xmlschema.XMLSchema11(SCHEMAS / "moodle.xsd").validate(folder / "moodle.xml")
    qti = xmlschema.XMLSchema(SCHEMAS / "qti.xsd")
    with zipfile.ZipFile(folder / "canvas.zip") as archive:
        manifest = io.BytesIO(archive.read("imsmanifest.xml"))
        xmlschema.XMLSchema(SCHEMAS / "package.xsd").validate(manifest)
        manifest.seek(0)
        files = ElementTree.parse(manifest).getroot().iterfind(".//p:file", PACKAGE)
        listed = [file.get("href") for file in files]
        assert sorted([*listed, "imsmanifest.xml"]) == sorted(archive.namelist())
        for name in listed:
            qti.validate(io.BytesIO(archive.read(name)))


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    """The bank of the whole book."""
    folder = tmp_path_factory.mktemp("bank")
    bank.write(ROOT, planned(*chapters()), folder)
    return folder


def chapters() -> list[str]:
    return sorted(page.stem for page in (ROOT / "book").glob("[0-9][0-9]_*.md"))


def questions() -> dict[str, Question]:
    return {q.name: q for name in chapters() for q in read(ROOT / "book" / f"{name}.md")}


def test_the_book_is_valid_for_both(book):
    validate(book)


def test_hostile_questions_are_valid_for_both(course, tmp_path):
    bank.write(course, planned("01_density", "02_divergences"), tmp_path / "out")
    validate(tmp_path / "out")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('fraction="100"', 'fraction="99"'),
        ("penalty>", "price>"),
        ('type="essay"', 'type="poem"'),
        ("$course$/top/", "top/"),
    ],
)
def test_the_schema_of_moodle_is_strict(course, tmp_path, old, new):
    bank.write(course, planned("01_density", "02_divergences"), tmp_path)
    text = (tmp_path / "moodle.xml").read_text()
    assert old in text
    changed = io.StringIO(text.replace(old, new))
    assert not xmlschema.XMLSchema11(SCHEMAS / "moodle.xsd").is_valid(changed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('linkrefid="general_fb"', 'linkrefid="elsewhere"'),
        ('continue="No"', 'continue="no"'),
        ("<itemmetadata>", "<resprocessing/><itemmetadata>"),
        ('fibtype="Decimal"', 'fibtype="Number"'),
        (' respident="response1"', ""),
    ],
)
def test_the_schema_of_canvas_is_strict(course, tmp_path, old, new):
    bank.write(course, planned("02_divergences"), tmp_path)
    with zipfile.ZipFile(tmp_path / "canvas.zip") as archive:
        quiz = next(n for n in archive.namelist() if n != "imsmanifest.xml")
        text = archive.read(quiz).decode()
    assert old in text
    changed = io.StringIO(text.replace(old, new, 1))
    assert not xmlschema.XMLSchema(SCHEMAS / "qti.xsd").is_valid(changed)


def test_every_question_of_the_book_reaches_moodle(book):
    html, asked = converter(ROOT), questions()
    found = {e.findtext("idnumber"): e for e in moodle(book) if e.get("type") != "category"}
    assert list(found) == list(asked)
    for name, question in asked.items():
        element = found[name]
        assert element.findtext("questiontext/text") == html(question.text)
        answers = element.findall("answer")
        if question.choices:
            assert element.get("type") == "multichoice"
            assert element.findtext("single") == str(not question.several).lower()
            said = [(a.findtext("text"), a.findtext("feedback/text")) for a in answers]
            assert said == [(html(c.text), html(c.reason)) for c in question.choices]
            shares = [float(answer.get("fraction")) for answer in answers]
            assert [share > 0 for share in shares] == [c.right for c in question.choices]
            assert sum(s for s in shares if s > 0) == pytest.approx(100, abs=1e-3)
            assert sum(s for s in shares if s < 0) == pytest.approx(
                -100 if question.several else 0, abs=1e-3
            )
        elif question.answer is None:
            assert (element.get("type"), answers) == ("essay", [])
            assert element.findtext("graderinfo/text") == html(question.reason)
        else:
            assert element.get("type") == "numerical"
            (answer,) = answers
            assert float(answer.findtext("text")) == float(question.answer)
            assert float(answer.findtext("tolerance")) == float(question.tolerance)
            assert answer.findtext("feedback/text") == html(question.reason)


def test_every_question_of_the_book_reaches_canvas(book):
    html, asked = converter(ROOT), questions()
    found = canvas(book)
    assert found.keys() == asked.keys()
    for name, question in asked.items():
        item = found[name]
        fields = {
            field.findtext("q:fieldlabel", namespaces=QTI): field.findtext(
                "q:fieldentry", namespaces=QTI
            )
            for field in item.iterfind(".//q:qtimetadatafield", QTI)
        }
        assert fields["points_possible"] == "1"
        said = {
            feedback.get("ident"): feedback.findtext(".//q:mattext", namespaces=QTI)
            for feedback in item.iterfind("q:itemfeedback", QTI)
        }
        if not question.choices:
            kind = "essay_question" if question.answer is None else "numerical_question"
            assert fields["question_type"] == kind
            assert said == {"general_fb": html(question.reason)}
            continue
        kind = "multiple_answers_question" if question.several else "multiple_choice_question"
        assert fields["question_type"] == kind
        labels = item.findall(".//q:response_label", QTI)
        shown = [label.findtext(".//q:mattext", namespaces=QTI) for label in labels]
        assert shown == [html(choice.text) for choice in question.choices]
        reasons = [said[f"{label.get('ident')}_fb"] for label in labels]
        assert reasons == [html(choice.reason) for choice in question.choices]
        assert worth(item, labels) == [choice.right for choice in question.choices]


def worth(item: ElementTree.Element, labels: list[ElementTree.Element]) -> list[bool]:
    """Which labels must be chosen for the score; all others must not if several are right."""
    scored = [
        c
        for c in item.iterfind(".//q:respcondition", QTI)
        if c.findtext("q:setvar", namespaces=QTI) == "100"
    ]
    (condition,) = scored
    chosen = {v.text for v in condition.iterfind("q:conditionvar/q:varequal", QTI)}
    chosen |= {v.text for v in condition.iterfind("q:conditionvar/q:and/q:varequal", QTI)}
    left = {v.text for v in condition.iterfind(".//q:not/q:varequal", QTI)}
    assert left in (set(), {label.get("ident") for label in labels} - chosen)
    return [label.get("ident") in chosen for label in labels]


def test_several_right_choices_must_all_be_chosen(course, tmp_path):
    bank.write(course, planned("01_density"), tmp_path)
    question = moodle(tmp_path)[2]
    shares = [answer.get("fraction") for answer in question.findall("answer")]
    assert shares == ["33.33333", "-100", "33.33333", "33.33333"]
    item = canvas(tmp_path)["density-which"]
    assert worth(item, item.findall(".//q:response_label", QTI)) == [True, False, True, True]


def test_a_number_is_right_within_its_tolerance(course, tmp_path):
    bank.write(course, planned("02_divergences"), tmp_path)
    item = canvas(tmp_path)["divergences-much"]
    low, high = (item.findtext(f".//q:{name}", namespaces=QTI) for name in ("vargte", "varlte"))
    assert (low, high) == ("-1.75", "-1.25")
    answer = moodle(tmp_path)[1].find("answer")
    assert (answer.findtext("text"), answer.findtext("tolerance")) == ("-1.5", "0.25")


def test_hostile_text_survives(course, tmp_path):
    bank.write(course, planned("01_density"), tmp_path)
    question = moodle(tmp_path)[1]
    item = canvas(tmp_path)["density-signs"]
    assert b"<![CDATA[" in (tmp_path / "moodle.xml").read_bytes()
    for text, choices in (
        (
            question.findtext("questiontext/text"),
            [answer.findtext("text") for answer in question.findall("answer")],
        ),
        (
            item.findtext("q:presentation/q:material/q:mattext", namespaces=QTI),
            [m.text for m in item.iterfind(".//q:response_label//q:mattext", QTI)],
        ),
    ):
        assert words(text) == r"Is \({\hat p} < {p_{\mathrm{data}}}\) & does a<b hold?"
        assert words(choices[0]).startswith("\"No\" ]]> 'never'")
        assert words(choices[1]) == "Ja, ∀ ε > 0 — & so on"


def test_markdown_becomes_html_that_stands_by_itself(course):
    html = converter(course)
    assert html("*a* `b<c`") == "<p><em>a</em> <code>b&lt;c</code></p>"
    assert html("- one\n- two") == "<ul>\n<li>one</li>\n<li>two</li>\n</ul>"
    assert html("[a](02_divergences.md) [b](https://c.org/)") == (
        '<p>a <a href="https://c.org/">b</a></p>'
    )
    assert html("![A hill](hill.png)") == "<p>A hill</p>"
    assert html(r"$\phat$ $\phatx$") == r"<p>\({\hat p}\) \(\phatx\)</p>"
    assert html("so\n\n$$ a < b $$") == "<p>so</p>\n\\[ a &lt; b \\]"
    assert html("$$ a $$ (eq-a)") == r"\[ a \]"
    assert html("{prf:ref}`thm-inversion`") == "<p>the theorem “Inversion”</p>"
    assert html("{prf:ref}`so <thm-inversion>`") == "<p>so</p>"
    assert html("by {eq}`eq-one`") == "<p>by an equation of the chapter</p>"
    assert html("{cite:t}`fisher1922`") == "<p>Fisher 1922</p>"
    assert html("{cite}`scheffe1947,fisher1922`") == "<p>(Scheffé and others 1947; Fisher 1922)</p>"
    with pytest.raises(CourseError, match=r"the role \{try\} means nothing outside of the book"):
        html("{try}`density best`")
    with pytest.raises(CourseError, match="no page of the book has the label 'thm-other'"):
        html("{prf:ref}`thm-other`")


def test_no_markup_of_the_book_is_left(book):
    texts = [text.text or "" for element in moodle(book) for text in element.iter("text")]
    assert len(texts) > 100
    for text in texts:
        assert "{prf:" not in text
        assert "$" not in text.removeprefix("$course$")
        for macro in (r"\pdata", r"\phat", r"\class"):
            assert macro not in text


def test_each_chapter_is_a_category_and_a_quiz(course, tmp_path):
    bank.write(course, planned("01_density", "02_divergences"), tmp_path)
    assert categories(tmp_path) == [
        "$course$/top/Generative models/01 Density estimation",
        "$course$/top/Generative models/02 Divergences // distances",
    ]
    assert len(canvas(tmp_path)) == 4


def test_a_chapter_that_is_left_out_is_in_neither(course, tmp_path):
    (course / "book" / "02_divergences.md").unlink()
    bank.write(course, planned("01_density"), tmp_path)
    assert categories(tmp_path) == ["$course$/top/Generative models/01 Density estimation"]
    assert set(canvas(tmp_path)) == {"density-signs", "density-which"}


def categories(folder: Path) -> list[str]:
    return [
        element.findtext("category/text")
        for element in moodle(folder)
        if element.get("type") == "category"
    ]


def test_the_same_questions_give_the_same_bytes(course, tmp_path):
    plan = planned("01_density", "02_divergences")
    for name in ("one", "two"):
        bank.write(course, plan, tmp_path / name)
    for name in ("moodle.xml", "canvas.zip"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with zipfile.ZipFile(tmp_path / "one" / "canvas.zip") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_without_questions_nothing_is_written(course, tmp_path):
    (course / "book" / "01_density.md").write_text("# Density estimation\n")
    bank.write(course, planned("01_density"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_name_is_given_once_a_course(course, tmp_path):
    page = course / "book" / "02_divergences.md"
    page.write_text(page.read_text().replace("divergences-why", "density-which"))
    with pytest.raises(CourseError, match=r"01_density.md and 02_divergences.md both have a quest"):
        bank.write(course, planned("01_density", "02_divergences"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_role_without_words_is_refused_with_the_question(course, tmp_path):
    page = course / "book" / "02_divergences.md"
    page.write_text(
        page.read_text()
        + dedent(
            """
            :::{question} How?
            :name: divergences-how
            Press {try}`divergences far <there>`.
            :::
            """
        )
    )
    with pytest.raises(CourseError, match=r"question 'divergences-how': the role \{try\}"):
        bank.write(course, planned("02_divergences"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
