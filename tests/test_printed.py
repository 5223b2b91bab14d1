"""The printable edition: what stands on which page, what is left out, and the same bytes again."""

import re
import shutil
import subprocess
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from PIL import Image
from pypdf import PdfReader
from small import small_course, write
from test_site import pytestmark as needs_a_browser

from genlab.course.release.onepage import one_page
from genlab.course.release.printed import chromium, printed
from genlab.course.root import CourseError
from genlab.course.site import build

WHEN = datetime(2027, 1, 4, 9, tzinfo=UTC)
LIGHT, DARK = (300, 120), (280, 110)  # pixels; by them the tests tell the twins apart

MORE = f"""
## What a page can hold

You have read {{cite}}`silverman1986`. Is it ($x$), or $y$, in the [reference](api.md)?

![A grey square, not quite as wide as the column.](_static/light.png){{.only-light}}
![A grey square, not quite as wide as the column.](_static/dark.png){{.only-dark}}

```{{code-cell}} ipython3
:tags: [hide-input]

code_that_only_draws = 42
print("what it drew:", code_that_only_draws)
```

:::{{question}} What is $1 + 1$?
:name: density-sum
- [ ] 11

  These are its digits side by side.
- [x] 2

  One more than one.
:::

:::{{question}} Why is it two?
:name: density-why
By the definition of two.
:::

$$ {" + ".join(f"x_{{{i}}}" for i in range(60))} $$ (eq-wide)

"""


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """A small course with more on its pages, and its site."""
    root = small_course(tmp_path_factory.mktemp("printed"))
    Image.new("RGB", LIGHT, "#ccc").save(root / "book" / "_static" / "light.png")
    Image.new("RGB", DARK, "#333").save(root / "book" / "_static" / "dark.png")
    page = root / "book" / "01_density.md"
    page.write_text(page.read_text().replace("## Check yourself", f"{MORE}## Check yourself"))
    page = root / "book" / "02_divergences.md"
    page.write_text(f"{page.read_text()}\n## Sources\n\n{{cite}}`scott1979,silverman1986`\n")
    write(root, "book/api.md", "# What one looks up\n\nThe reference of the package.\n")
    write(root, "book/references.md", "# References\n\n```{bibliography}\n```\n")
    toc = root / "_toc.yml"
    toc.write_text(f"{toc.read_text()}      - file: book/api\n      - file: book/references\n")
    build(root)
    return root


@pytest.fixture(scope="module")
def pdf(course) -> Path:
    target = course / "book.pdf"
    printed(course, target, WHEN, subprocess.run)
    return target


@pytest.fixture(scope="module")
def pages(pdf) -> list[list[str]]:
    """The lines of each page, as they stand."""
    texts = [page.extract_text(extraction_mode="layout") for page in PdfReader(pdf).pages]
    return [
        [" ".join(line.split()) for line in text.splitlines() if line.strip()] for text in texts
    ]


@pytest.fixture(scope="module")
def sheet(course) -> BeautifulSoup:
    """What is printed, before it is."""
    return BeautifulSoup(one_page(course, WHEN), "html.parser")


@pytest.fixture
def copy(course, tmp_path) -> Path:
    """The built course in another place, of another length, with a space in its name."""
    root = tmp_path / "another place"
    root.mkdir()
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy2(course / name, root)
    shutil.copytree(course / "_build" / "html", root / "_build" / "html")
    return root


@needs_a_browser
def test_the_first_page_says_what_it_is_who_made_it_and_when(pages):
    assert pages[0] == [
        "Generative models",
        "The genlab authors",
        "Edition of 4 January 2027",
        "© 2026 The genlab authors. Text and figures are under CC BY 4.0, the code under the MIT "
        "licence.",
    ]


@needs_a_browser
def test_at_the_foot_of_a_page_stand_its_number_and_what_one_reads(pages):
    numbers = [page[-1].split()[-1] for page in pages[1:]]
    assert numbers == [str(number) for number in range(2, len(pages) + 1)]
    assert [page[-1] for page in pages[2:4]] == ["Preface 3", "Density estimation 4"]


@needs_a_browser
def test_the_contents_name_the_page_on_which_a_heading_stands(pages):
    entries = [re.fullmatch(r"(?:\d\d )?(.*) (\d+)", line) for line in pages[1][:-1]]
    found = [(entry[1], int(entry[2])) for entry in entries if entry]
    chapter = ["A question", "A claim", "Check yourself", "Summary", "Answers"]
    assert [title for title, _ in found] == [
        "Preface",
        *("Density estimation", *chapter[:2], "What a page can hold", *chapter[2:]),
        "Exercises 01: density",
        *("Divergences", *chapter[:4], "Sources", chapter[4]),
        "Exercises 02: divergences",
        "Notation",
        "References",
    ]
    for title, number in found:
        assert title in pages[number - 1][:-1], f"{title} is not on page {number}"
    numbers = [number for _, number in found]
    assert numbers == sorted(numbers)
    assert numbers[0] == 3
    assert numbers[-1] == len(pages)


@needs_a_browser
def test_whatever_has_a_title_begins_on_a_new_page(pages):
    first = [page[0] for page in pages]
    for title in ("Contents", "Preface", "01", "02", "Notation", "References"):
        assert first.count(title) == 1
    for number in ("01: density", "02: divergences"):
        assert first.count(f"Exercises {number}") == 1


@needs_a_browser
def test_the_outline_leads_to_the_same_pages(pdf, pages):
    reader = PdfReader(pdf)
    chapters = [entry for entry in reader.outline if not isinstance(entry, list)]
    places = {entry.title: reader.get_destination_page_number(entry) for entry in chapters}
    assert list(places) == [
        "Contents",
        "Preface",
        "Density estimation",
        "Exercises 01: density",
        "Divergences",
        "Exercises 02: divergences",
        "Notation",
        "References",
    ]
    for title, number in places.items():
        assert title in pages[number][:2]


@needs_a_browser
def test_formulas_are_set_and_none_is_cut(pdf, pages):
    text = "\n".join(line for page in pages for line in page)
    assert "\\" not in text
    assert "p(x) = 1 e−|x| (1)" in text
    width = float(PdfReader(pdf).pages[4].mediabox.width)
    signs = []

    def visit(sign, cm, tm, *_):
        signs.append((sign, cm[0] * tm[4] + cm[2] * tm[5] + cm[4]))

    PdfReader(pdf).pages[4].extract_text(visitor_text=visit)
    line = [x for sign, x in signs if "+" in sign]
    assert len(line) > 50
    assert 60 < min(line) < max(line) < width - 60


@needs_a_browser
def test_every_font_is_in_the_file(pdf):
    fonts = [
        font.get_object()
        for page in PdfReader(pdf).pages
        for font in page["/Resources"].get("/Font", {}).values()
    ]
    assert fonts
    for font in fonts:
        if font["/Subtype"] == "/Type3":
            assert font["/CharProcs"]
        else:
            descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"]
            assert "/FontFile2" in descriptor


@needs_a_browser
def test_figures_stand_in_their_light_version(pdf, sheet):
    shown = [image.image.size for page in PdfReader(pdf).pages for image in page.images]
    assert shown == [LIGHT]
    assert not sheet.select(".only-dark")


@needs_a_browser
def test_answers_stand_at_the_end_of_the_chapter_and_questions_say_where(pages):
    asked, answered = pages[3], pages[4]
    assert "1 What is 1 + 1? answer on page 5" in asked
    assert asked[asked.index("a. 11") :][:2] == ["a. 11", "b. 2"]
    assert not any("One more than one" in line for line in asked)
    assert "Answers" not in asked
    assert answered[answered.index("Answers") + 1 :][:3] == [
        "1 a. Not yet. These are its digits side by side.",
        "b. Right. One more than one.",
        "2 By the definition of two.",
    ]


@needs_a_browser
def test_code_that_only_draws_and_checks_are_left_out(pages):
    text = "\n".join(line for page in pages for line in page)
    assert "what it drew: 42" in text
    assert "code_that_only_draws" not in text
    assert "def four_times(x):" in text
    assert "with check(" not in text


@needs_a_browser
def test_what_one_looks_up_is_left_out_and_nothing_leads_there(pages, sheet):
    text = "\n".join(line for page in pages for line in page)
    assert "What one looks up" not in text
    assert "in the reference?" in text
    assert not [link for link in sheet.select("a[href]") if "api" in link["href"]]


@needs_a_browser
def test_every_link_leads_to_one_place(sheet):
    anchors = Counter(tag["id"] for tag in sheet.select("[id]"))
    links = [link["href"] for link in sheet.select("article a[href], nav a[href]")]
    assert len(links) > 40
    for link in links:
        assert anchors[link.removeprefix("#")] == 1, link
    cited = {link.get_text(): link["href"] for link in sheet.select(".bibtex-citation a")}
    for name, link in cited.items():
        entry = sheet.find(id=link.removeprefix("#")).get_text()
        assert name.split(",")[0] in entry


@needs_a_browser
def test_a_formula_keeps_the_punctuation_beside_it(sheet):
    together = [span.get_text() for span in sheet.select(".together")]
    assert {"(\\(x\\)),", "\\(y\\),"} <= set(together)


@needs_a_browser
def test_the_file_says_what_it_is_and_nothing_of_the_machine(course, pdf):
    reader = PdfReader(pdf)
    assert dict(reader.metadata) == {
        "/Title": "Generative models",
        "/Author": "The genlab authors",
        "/CreationDate": "D:20270104090000+00'00'",
        "/ModDate": "D:20270104090000+00'00'",
    }
    assert course.parent.name.encode() not in pdf.read_bytes()
    assert b"file:" not in pdf.read_bytes()
    assert {tuple(map(round, page.mediabox[2:])) for page in reader.pages} == {(595, 842)}


@needs_a_browser
def test_the_same_site_in_another_place_gives_the_same_bytes(pdf, copy):
    printed(copy, copy / "again.pdf", WHEN, subprocess.run)
    assert (copy / "again.pdf").read_bytes() == pdf.read_bytes()
    assert [file.name for file in (copy / "_build").iterdir()] == ["html"]


@needs_a_browser
def test_a_book_whose_formulas_are_not_set_is_refused(copy):
    shutil.rmtree(copy / "_build" / "html" / "_static" / "vendor")
    with pytest.raises(CourseError, match="before its formulas were set"):
        printed(copy, copy / "book.pdf", WHEN, subprocess.run)
    assert not (copy / "book.pdf").exists()


@needs_a_browser
def test_what_chromium_says_when_it_fails_is_passed_on(copy):
    def run(command, **_):
        return subprocess.CompletedProcess(command, 1, "", "no space left on device")

    with pytest.raises(CourseError, match="no space left on device"):
        printed(copy, copy / "book.pdf", WHEN, run)


def test_without_chromium_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CourseError, match="apt install chromium"):
        chromium()
