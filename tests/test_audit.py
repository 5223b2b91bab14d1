"""A release that holds a line of a solution or of a hidden test is refused, wherever it hides."""

import bz2
import functools
import gzip
import html
import io
import json
import lzma
import marshal
import re
import shutil
import struct
import tarfile
import zipfile
import zlib
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from urllib.parse import quote

import nbformat
import pytest
from nbformat import v4
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pygments import highlight
from pygments.formatters import HtmlFormatter, Terminal256Formatter
from pygments.lexers import PythonLexer
from pypdf import PdfWriter
from pypdf.annotations import FreeText
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from genlab.course import audit, notebooks, unpacked
from genlab.course.hidden import decoded
from genlab.course.root import chapters

ROOT = Path(__file__).parents[1]
LINE = "print(\"a & b\\n\", the_secret < 42, 'solution')"
FROM = f"holds a line of solutions/01_dice.py: {LINE}"


def cell(grade_id: str, **roles) -> str:
    """The head of a cell with nbgrader's metadata."""
    metadata = {"grade": False, "grade_id": grade_id, "locked": False, "schema_version": 3}
    return f"# %% nbgrader={json.dumps(metadata | {'solution': False, 'task': False} | roles)}"


SOURCE = f'''
{cell("double", solution=True)}
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    if x < 0:
        t = -x
    {LINE}
    running_totals = 2 * x + double_of_zero()  # by addition
    return running_totals
    ### END SOLUTION

# %% tags=["wrong-answer"]
# Right for 0 and 2 only.
def double(x):
    return x**2

{cell("check-double", grade=True, points=2)}
assert double(1) == 2, "this is said in public by the check"
### BEGIN HIDDEN TESTS
assert double(21) == 42, "this is said to graders only"
### END HIDDEN TESTS
'''


@pytest.fixture(scope="module")
def hidden(tmp_path_factory) -> audit.Secrets:
    """What a course with one chapter must not hand out; its page and its package are there too."""
    root = tmp_path_factory.mktemp("course")
    write(root / "solutions" / "01_dice.py", SOURCE)
    write(root / "book" / "01_dice.md", f"# Dice\n\n    {LINE}\n")
    write(root / "genlab" / "dice.py", "def double_of_zero():\n    return sum([0, 0, 0])\n")
    return audit.secrets(root)


@pytest.fixture
def leaks(hidden, tmp_path) -> Callable:
    """Writes one file, and lists what is wrong with it."""

    def search(name: str, content: bytes | str) -> list[str]:
        write(tmp_path / "out" / name, content)
        return list(audit.leaks(hidden, tmp_path / "out"))

    return search


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = dedent(content).lstrip("\n").encode()
    path.write_bytes(content)


# --- Files of all kinds with something in them ---------------------------------------------------


def highlighted(line: str) -> str:
    """As Pygments writes it: a span around each word and sign, entities for signs."""
    return re.sub(r"\w+|[^\w\s]+", lambda m: f'<span class="n">{html.escape(m[0])}</span>', line)


def coloured(line: str) -> str:
    """As a traceback shows it in a terminal."""
    return re.sub(r"(\w+|[^\w\s]+)", "\x1b[0;38;5;28m\\1\x1b[39m", f"----> 3     {line}")


def notebook(source: str = "1", *, outputs=(), **metadata) -> bytes:
    nb = v4.new_notebook(metadata=metadata)
    nb.cells = [
        v4.new_markdown_cell("Text.", id="a"),
        v4.new_code_cell(source, id="b", outputs=list(outputs)),
    ]
    return nbformat.writes(nb).encode()


def shown(kind: str, content: str) -> bytes:
    """A notebook with one output."""
    return notebook(outputs=[v4.new_output("display_data", {kind: content})])


def with_cell_metadata(**metadata) -> bytes:
    nb = nbformat.reads(notebook().decode(), 4)
    nb.cells[1].metadata.update(metadata)
    return nbformat.writes(nb).encode()


def with_attachment(kind: str, content: bytes) -> bytes:
    nb = nbformat.reads(notebook().decode(), 4)
    nb.cells[0].attachments = {"a": {kind: b64encode(content).decode()}}
    return nbformat.writes(nb).encode()


def png(text: str = "", *, compressed: bool = False, international: bool = False) -> bytes:
    info = PngInfo()
    if international:
        info.add_itxt("Comment", text, zip=compressed)
    elif text:
        info.add_text("Comment", text, zip=compressed)
    Image.new("L", (2, 2)).save(buffer := io.BytesIO(), "png", pnginfo=info)
    return buffer.getvalue()


def zipped(name: str = "a.txt", content: bytes | str = "", *, extra=b"", comment=b"", all=b""):
    """A compressed archive with one entry."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type, entry.extra, entry.comment = zipfile.ZIP_DEFLATED, extra, comment
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr(entry, content)
        archive.comment = all
    return buffer.getvalue()


def tarred(name: str, content: bytes) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    with tarfile.open(fileobj=(buffer := io.BytesIO()), mode="w") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def inventory(text: str) -> bytes:
    head = "# Sphinx inventory version 2\n# Project: a\n# Version: 1\n# Compressed with zlib.\n"
    return head.encode() + zlib.compress(text.encode())


def pdf(*lines: str, change: Callable = lambda writer: None) -> bytes:
    """One page with lines of text, compressed; and whatever ``change`` adds."""
    writer = PdfWriter()
    page = writer.add_blank_page(300, 300)
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Courier"}
    font = DictionaryObject({NameObject(k): NameObject(v) for k, v in font.items()})
    fonts = DictionaryObject({NameObject("/F1"): font})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    stream = DecodedStreamObject()
    text = "".join(f"<{line.encode('latin1').hex()}> Tj 0 -12 Td " for line in lines)
    stream.set_data(f"BT /F1 9 Tf 10 280 Td {text}ET".encode())
    page[NameObject("/Contents")] = writer._add_object(stream.flate_encode())
    change(writer)
    writer.write(buffer := io.BytesIO())
    return buffer.getvalue()


def with_xmp(writer: PdfWriter) -> None:
    stream = DecodedStreamObject()
    stream.set_data(f"<x:xmpmeta>{html.escape(LINE)}</x:xmpmeta>".encode())
    writer.root_object[NameObject("/Metadata")] = writer._add_object(stream.flate_encode())


def with_note(writer: PdfWriter) -> None:
    writer.add_annotation(page_number=0, annotation=FreeText(text=LINE, rect=(0, 0, 50, 50)))


def uri(kind: str, content: str, *, base64: bool = False) -> str:
    if base64:
        return f"data:{kind};base64,{b64encode(content.encode()).decode()}"
    return f"data:{kind},{quote(content)}"


def in_unicode(line: str) -> str:
    return "".join(f"\\u{ord(letter):04x}" for letter in line)


EXTRA = struct.pack("<HH", 0xCAFE, len(LINE)) + LINE.encode()
TEXT = f"x = 1\n    {LINE}\n"
# What is planted: in which file, its bytes, and the place that must be named.
CANARIES = {
    "page, plain": ("a.html", f"<pre>{LINE}</pre>", "a.html"),
    "page, entities": ("a.html", html.escape(LINE), "a.html"),
    "page, numbered entities": ("a.html", html.escape(LINE).replace("&#x27;", "&#39;"), "a.html"),
    "page, highlighted": ("a.html", highlighted(LINE), "a.html"),
    "page, attribute": ("a.html", f'<img alt="{html.escape(LINE)}">', "a.html"),
    "page, comment": ("a.html", f"<!-- {LINE} -->", "a.html"),
    "page, highlighted in a comment": ("a.html", f"<!-- {highlighted(LINE)} -->", "a.html"),
    "page, broken into lines": ("a.html", LINE.replace(" ", "\n   "), "a.html"),
    "page, typographic quotes": ("a.html", re.sub(r"[\"']", "”", LINE), "a.html"),
    "page, address of text": ("a.html", f'<a href="{uri("text/plain", LINE)}">', "a.html"),
    "page, address of a picture": (
        "a.html",
        f'<img src="{uri("image/svg+xml", f"<text>{highlighted(LINE)}</text>")}">',
        "a.html",
    ),
    "page, address in base64": (
        "a.html",
        f'<img src="{uri("image/svg+xml", TEXT, base64=True)}">',
        "a.html › base64",
    ),
    "page source, Markdown": ("_sources/a.md", f"Text.\n\n    {LINE}\n", "_sources/a.md"),
    "page source, notebook": (
        "_sources/a.ipynb",
        notebook(TEXT),
        "_sources/a.ipynb › cell 2 (source)",
    ),
    "search index, in a title": (
        "searchindex.js",
        f"Search.setIndex({json.dumps({'titles': [LINE]})})",
        "searchindex.js",
    ),
    "output, text": (
        "a.ipynb",
        shown("text/plain", TEXT),
        "a.ipynb › cell 2, output 1 (text/plain)",
    ),
    "output, html": (
        "a.ipynb",
        shown("text/html", f"<pre>{highlighted(LINE)}</pre>"),
        "a.ipynb › cell 2, output 1 (text/html)",
    ),
    "output, JSON in JSON": (
        "a.ipynb",
        shown("text/plain", json.dumps(json.dumps(LINE))),
        "a.ipynb › cell 2, output 1 (text/plain)",
    ),
    "output, stream": (
        "a.ipynb",
        notebook(outputs=[v4.new_output("stream", text=TEXT)]),
        "a.ipynb › cell 2, output 1 (text)",
    ),
    "output, coloured traceback": (
        "a.ipynb",
        notebook(outputs=[v4.new_output("error", traceback=["Error", coloured(LINE)])]),
        "a.ipynb › cell 2, output 1 (traceback)",
    ),
    "output, text chunk of a picture": (
        "a.ipynb",
        shown("image/png", b64encode(png(LINE, compressed=True)).decode()),
        "a.ipynb › cell 2, output 1 (image/png) › base64 › zTXt chunk",
    ),
    "notebook's metadata": (
        "a.ipynb",
        notebook(course={"long": LINE}),
        "a.ipynb › notebook (metadata, course, long)",
    ),
    "cell's metadata": (
        "a.ipynb",
        with_cell_metadata(note=[LINE, [1]]),
        "a.ipynb › cell 2 (metadata, note, 1)",
    ),
    "attachment, text": (
        "a.ipynb",
        with_attachment("text/plain", TEXT.encode()),
        "a.ipynb › cell 1 (attachments, a, text/plain) › base64",
    ),
    "attachment, picture": (
        "a.ipynb",
        with_attachment("image/png", png(LINE)),
        "a.ipynb › cell 1 (attachments, a, image/png) › base64 › tEXt chunk",
    ),
    "picture, tEXt": ("a.png", png(LINE), "a.png › tEXt chunk"),
    "picture, zTXt": ("a.png", png(LINE, compressed=True), "a.png › zTXt chunk"),
    "picture, iTXt": ("a.png", png(LINE, international=True), "a.png › iTXt chunk"),
    "picture, iTXt compressed": (
        "a.png",
        png(LINE, international=True, compressed=True),
        "a.png › iTXt chunk",
    ),
    "picture, after its end": ("a.png", png() + TEXT.encode(), "a.png › after its end"),
    "picture, archive after its end": (
        "a.png",
        png() + zipped(content=TEXT),
        "a.png › after its end › a.txt",
    ),
    "picture, SVG": (
        "a.svg",
        f"<svg><text>{highlighted(LINE).replace('span', 'tspan')}</text></svg>",
        "a.svg",
    ),
    "JSON, escaped": ("deep/er.json", json.dumps([json.dumps(LINE)]), "deep/er.json"),
    "JSON, in Unicode": ("a.json", f'["{in_unicode(LINE)}"]', "a.json"),
    "JavaScript, in hexadecimals": (
        "a.js",
        "'" + "".join(f"\\x{ord(letter):02x}" for letter in LINE) + "'",
        "a.js",
    ),
    "address, encoded": ("a.txt", quote(LINE), "a.txt"),
    "address, encoded twice": ("a.txt", quote(quote(LINE)), "a.txt"),
    "inventory": ("objects.inv", inventory(LINE), "objects.inv › unpacked"),
    "gzip": ("a.gz", gzip.compress(TEXT.encode()), "a.gz › unpacked"),
    "gzip, two behind each other": (
        "a.gz",
        gzip.compress(b"text") + gzip.compress(TEXT.encode()),
        "a.gz › after its end › unpacked",
    ),
    "bzip2": ("a", bz2.compress(TEXT.encode()), "a › unpacked"),
    "xz": ("a", lzma.compress(TEXT.encode()), "a › unpacked"),
    "tar in gzip": (
        "a.tar.gz",
        gzip.compress(tarred("b.zip", zipped(content=TEXT))),
        "a.tar.gz › unpacked › b.zip › a.txt",
    ),
    "wheel in an archive": (
        "a.zip",
        zipped("a/b.whl", zipped("genlab/c.py", TEXT)),
        "a.zip › a/b.whl › genlab/c.py",
    ),
    "archive, comment of an entry": ("a.zip", zipped(comment=LINE.encode()), "a.zip"),
    "archive, comment": ("a.zip", zipped(all=LINE.encode()), "a.zip"),
    "archive, extra field": ("a.zip", zipped(extra=EXTRA), "a.zip"),
    "archive, after its end": ("a.zip", zipped() + TEXT.encode(), "a.zip › after its end"),
    "archive, gzip after its end": (
        "a.zip",
        zipped() + gzip.compress(TEXT.encode()),
        "a.zip › after its end › unpacked",
    ),
    "archive, before its entries": (
        "a.zip",
        TEXT.encode() + zipped(),
        "a.zip › before its entries",
    ),
    "archive, another before it": (
        "a.zip",
        zipped(content=TEXT) + zipped(),
        "a.zip › before its entries › a.txt",
    ),
    "archive under another name": ("font.woff", zipped(content=TEXT), "font.woff › a.txt"),
    "PDF, page": ("a.pdf", pdf("Text.", LINE), "a.pdf › page 1"),
    "PDF, page with a line break": ("a.pdf", pdf(LINE[:20], LINE[20:]), "a.pdf › page 1"),
    "PDF, information": (
        "a.pdf",
        pdf(change=lambda writer: writer.add_metadata({"/Subject": LINE})),
        "a.pdf › object",
    ),
    "PDF, XMP": ("a.pdf", pdf(change=with_xmp), "a.pdf › object"),
    "PDF, attachment": (
        "a.pdf",
        pdf(change=lambda writer: writer.add_attachment("a.zip", zipped(content=TEXT))),
        "a.pdf › object",
    ),
    "PDF, outline": (
        "a.pdf",
        pdf(change=lambda writer: writer.add_outline_item(title=LINE, page_number=0)),
        "a.pdf › object",
    ),
    "PDF, note": ("a.pdf", pdf(change=with_note), "a.pdf › object"),
    "UTF-16": ("a.txt", TEXT.encode("utf-16"), "a.txt"),
    "UTF-16, big end first": ("a.txt", TEXT.encode("utf-16-be"), "a.txt"),
    "vendored file": (
        "_static/vendor/mathjax/a.js",
        f"/* {LINE} */",
        "_static/vendor/mathjax/a.js",
    ),
}


@pytest.mark.parametrize("canary", CANARIES)
def test_a_line_is_found_wherever_it_hides(leaks, canary):
    file, content, place = CANARIES[canary]
    (found,) = leaks(file, content)
    assert found.startswith(place)
    assert found.endswith(FROM)


def test_a_line_is_found_in_the_name_of_a_file(leaks):
    assert leaks(f"{LINE}.txt", "") == [f"the name of {LINE}.txt {FROM}"]
    (told, *_) = leaks("a.zip", zipped(f"deep/{LINE}.txt"))
    assert told.startswith(f"the name of a.zip › deep/{LINE}.txt holds")


def test_compiled_python_is_refused_whatever_it_holds(leaks):
    code = marshal.dumps(compile(f"x = {LINE!r}", "a.py", "exec"))
    refused = "a.pyc cannot be opened, so it cannot be checked: it is compiled Python"
    told, found = leaks("a.pyc", code)
    assert told.startswith(refused)
    assert found == f"a.pyc {FROM}"
    (told,) = leaks("a.pyc", b"")
    assert told.startswith(refused)


# --- What counts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "running_totals = 2 * x + double_of_zero()  # by addition",
        'assert double(21) == 42, "this is said to graders only"',
        "# Right for 0 and 2 only.",
    ],
)
def test_solutions_hidden_tests_and_wrong_answers_count_with_their_comments(leaks, line):
    assert leaks("a.txt", line) == [f"a.txt holds a line of solutions/01_dice.py: {line}"]


def test_a_short_line_counts_together_with_what_stands_before_it(leaks):
    assert leaks("a.txt", "t = -x") == []
    pasted = 'def double(x):\n    """Twice x."""\n    if x < 0:\n        t = -x\n'
    first, second = leaks("a.txt", pasted)
    assert first.endswith('01_dice.py: def double(x): """Twice x.""" if x < 0:')
    assert second.endswith('01_dice.py: def double(x): """Twice x.""" if x < 0: t = -x')


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"\u03b80 = at", b"0 = at"),  # θ0: four digits and no more
        (rb"\u0061b\x63", b"abc"),
        (rb"\U00000061b", b"ab"),
        (rb"\u{61}b", b"ab"),
        (rb"%61&#98;c", b"abc"),
    ],
)
def test_an_escape_takes_its_own_digits_only(written, read):
    assert decoded(written) == read


def test_what_students_have_anyway_is_no_secret(leaks):
    stub = 'def double(x):\n    """Twice x."""\n    raise NotImplementedError\n'
    check = 'assert double(1) == 2, "this is said in public by the check"'
    package = "def double_of_zero():\n    return sum([0, 0, 0])"
    assert leaks("a.txt", "\n".join([stub, check, package])) == []


def test_every_line_and_every_file_is_named(leaks):
    leaks("b/c.html", LINE)
    (one, two, three) = leaks(
        "a.html", f"{LINE}\nrunning_totals = 2*x + double_of_zero() # by addition"
    )
    assert [one.split()[0], two.split()[0], three.split()[0]] == ["a.html", "a.html", "b/c.html"]
    assert one != two


def test_the_search_index_betrays_a_word_that_only_solutions_use(leaks):
    terms = {"dice": 0, "double_of_zero": 0, "running_tot": [0, 1]}
    (found,) = leaks("searchindex.js", f"Search.setIndex({json.dumps({'terms': terms})})")
    word = "lists a word that only solutions/01_dice.py uses: running_totals"
    assert found == f"searchindex.js {word}"
    (found,) = leaks("searchindex.js", f"Search.setIndex({json.dumps({'titleterms': terms})})")
    assert found == f"searchindex.js {word}"
    assert leaks("searchindex.js", 'Search.setIndex({"terms": {"dice": 0}})') == []
    (found,) = leaks("searchindex.js", 'Search.setIndex({"terms": )')
    assert found.startswith("searchindex.js cannot be opened")


@pytest.fixture(scope="module")
def real() -> audit.Secrets:
    return audit.secrets(ROOT)


def test_no_exercise_and_no_page_of_this_course_holds_a_secret(real, tmp_path):
    shutil.copytree(ROOT / "exercises", tmp_path / "exercises")
    for page in (ROOT / "book").glob("*.md"):
        shutil.copy(page, tmp_path)
    assert list(audit.leaks(real, tmp_path)) == []
    shutil.copytree(ROOT / "solutions", tmp_path / "solutions")
    told = "\n".join(audit.leaks(real, tmp_path))
    assert all(f"solutions/{path.name} " in told for path in (ROOT / "solutions").glob("*"))


@pytest.mark.parametrize(
    "written",
    [
        lambda text: highlight(text, PythonLexer(), HtmlFormatter()),
        lambda text: f'<iframe srcdoc="{html.escape(highlighted(text))}">',
        lambda text: json.dumps({"source": text.splitlines(keepends=True)}),
        lambda text: json.dumps(highlight(text, PythonLexer(), Terminal256Formatter())),
        lambda text: uri("text/html", highlighted(text)),
        lambda text: text.replace('"', "”").replace("'", "’").replace("-", "−"),
    ],
)
def test_every_secret_of_this_course_is_found_however_it_is_written(real, written):
    found = set()
    for name in chapters(ROOT):
        for part in notebooks.read(ROOT / "solutions" / f"{name}.py").cells:
            text = re.sub("### (BEGIN|END) .*", "", part.source)
            found |= real.lines_in(written(text).encode())
    assert found == set(real.lines.values())
    assert len(found) > 100 * len(chapters(ROOT))


# --- Files that are broken, or too large -------------------------------------------------------


def cut(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("a.zip", cut(zipped(content="text " * 99)), "not a zip file"),
        (
            "a.zip",
            zipped(content="text").replace(b"PK\x01\x02", b"PK\x01\x03"),
            "central directory",
        ),
        ("a.zip", zipped("b.zip", cut(zipped(content="text"))), "not a zip file"),
        ("a.png", cut(png("text" * 99)), "cut off"),
        ("a.png", png()[:-12], "cut off"),
        ("a.gz", cut(gzip.compress(b"text" * 99, mtime=0)), "cut off"),
        ("a.gz", b"\x1f\x8b" + b"text", "Error"),
        ("a.pdf", b"%PDF-1.7\ntext", ""),
        ("a.pdf", pdf(LINE, change=lambda writer: writer.encrypt("a", algorithm="RC4-128")), ""),
        ("objects.inv", inventory("text")[:-8], "cut off"),
        ("a.ipynb", cut(notebook()), "char"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c" + b"text", "another kind"),
    ],
)
def test_what_cannot_be_opened_is_refused(leaks, file, content, why):
    (told,) = leaks(file, content)
    assert re.match(rf"{file}( › b.zip)? cannot be opened, so it cannot be checked: .", told)
    assert why in told


def test_a_line_in_a_broken_file_is_found_too(leaks):
    told, found = leaks("a.ipynb", notebook(LINE)[:-5])
    assert "cannot be opened" in told
    assert found == f"a.ipynb {FROM}"


@pytest.mark.parametrize(
    "content",
    [
        zipped(content=bytes(2**21)),
        zipped("b.zip", zipped("c.zip", zipped(content=bytes(2**21)))),
        gzip.compress(bytes(2**21), mtime=0),
        gzip.compress(gzip.compress(bytes(2**21), mtime=0), mtime=0),
        bz2.compress(bytes(2**21)),
        png("0" * 2**21, compressed=True),
        png("0" * 2**21, compressed=True, international=True),
        inventory("0" * 2**21),
    ],
)
def test_what_unpacks_to_more_than_there_is_room_for_is_refused(leaks, monkeypatch, content):
    monkeypatch.setattr(unpacked, "LIMIT", 2**20)
    (told,) = leaks("a", content)
    assert told.endswith("cannot be checked: it unpacks to more than 1 MiB")


def test_archives_nested_without_end_are_refused(leaks):
    nested = functools.reduce(lambda content, _: zipped("a.zip", content), range(20), b"text")
    (told,) = leaks("a.zip", nested)
    assert told.endswith("more than 12 files stand inside each other")


# --- Requests to other hosts -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "loads"),
    [
        ('<script src="https://cdn.example/x.js"></script>', "https://cdn.example/x.js"),
        ('<script async SRC="http://cdn.example/x.js"></script>', "http://cdn.example/x.js"),
        ('<link rel="stylesheet" href="//fonts.example/x.css">', "//fonts.example/x.css"),
        ('<link rel="preconnect" href="https://fonts.example">', "https://fonts.example"),
        ('<img alt="" src="https://img.example/x.png"/>', "https://img.example/x.png"),
        ('<iframe src="https://video.example"></iframe>', "https://video.example"),
        ('<video poster="https://img.example/p.jpg"></video>', "https://img.example/p.jpg"),
    ],
)
def test_requests_to_other_hosts_are_found(tmp_path, tag, loads):
    write(tmp_path / "book" / "page.html", f"<html><head></head><body>{tag}</body></html>")
    assert list(audit.requests_elsewhere(tmp_path)) == [f"book/page.html loads {loads}"]


def test_links_and_own_files_are_no_requests(tmp_path):
    write(
        tmp_path / "index.html",
        """
        <link rel="canonical" href="https://course.example/index.html">
        <link rel="stylesheet" href="_static/a.css"><script src="/_static/a.js"></script>
        <a href="https://arxiv.org/abs/1312.6114">paper</a> <a href="//elsewhere.example">there</a>
        <img src="data:image/png;base64,AAAA"> <p>src="https://cdn.example/x.js"</p>
        <!-- <script src="https://cdn.example/x.js"></script> -->
        """,
    )
    write(tmp_path / "_static" / "demo.html", '<script src="https://cdn.example/x.js"></script>')
    assert list(audit.requests_elsewhere(tmp_path)) == []
