"""The website: front-end files, pages, and what must not be in them."""

import html as html_entities
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from genlab.course.notebooks import check, exercise, read
from genlab.course.root import CourseError, chapters

# Of MathJax: the component, what it loads on demand, and its licence.
MATHJAX = ("tex-mml-chtml.js", "input", "output/chtml", "ui", "a11y", "sre")


def build(root: Path) -> Path:
    """Build the site in _build/html and return its first page.

    Raises:
        CourseError: a cell fails, Sphinx warns, a notebook is out of step, a solution would be
            published, or a page would ask another host for a file.
    """
    start = time.perf_counter()
    _say("1/4 notebooks: exercises are what their source gives")
    check(root)
    _say("2/4 front-end files")
    vendor_mathjax(root)
    _say("3/4 pages: chapters run when their code or the modules under it changed")
    env = os.environ | {"OMP_NUM_THREADS": "1", "GENLAB_QUIET": "1"}
    book = Path(sys.executable).with_name("jupyter-book")
    command = [book, "build", root, "-W", "-n", "--keep-going"]
    page = root / "_build" / "html" / "index.html"
    if subprocess.run(command, env=env, check=False).returncode or not page.is_file():
        raise CourseError("the pages were not built; the reason stands above.")
    _say("4/4 checks: no solution on the site, no request to another host")
    problems = [*leaks(root, page.parent), *requests_elsewhere(page.parent)]
    if problems:
        raise CourseError("the site must not be published:\n  " + "\n  ".join(problems))
    _say(f"done in {time.perf_counter() - start:.0f} s. Open {page}")
    return page


def vendor_mathjax(root: Path) -> bool:
    """Copy MathJax, as npm installs it from book/package-lock.json, into the site's files.

    Where npm is missing or fails, formulas stay TeX source: that is said, and nothing fails.
    """
    book, target = root / "book", root / "book" / "_static" / "vendor" / "mathjax"
    lock = (book / "package-lock.json").read_bytes()
    stamp = target / "package-lock.json"
    if stamp.is_file() and stamp.read_bytes() == lock:
        return True
    npm = shutil.which("npm")
    lost = "Formulas will be shown as TeX source. Install Node.js and build again to set them."
    if npm is None:
        _say(f"npm is not installed, so MathJax cannot be fetched. {lost}")
        return False
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=book, capture_output=True, text=True, check=False)
    if done.returncode:
        _say(f"npm could not fetch MathJax. {lost}\n{done.stderr.strip()[-600:]}")
        return False
    shutil.rmtree(target, ignore_errors=True)
    package = book / "node_modules" / "mathjax"
    for part in MATHJAX:
        source, copy = package / "es5" / part, target / part
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, copy) if source.is_dir() else shutil.copy2(source, copy)
    shutil.copy2(package / "LICENSE", target / "LICENSE")
    stamp.write_bytes(lock)
    return True


def leaks(root: Path, html: Path) -> Iterator[str]:
    """Lines of solutions and hidden tests that are found in a built site, with their place.

    A line counts if it is long enough to be somebody's work and does not stand in the student's
    notebook or the chapter too.
    """
    secrets = {}
    for name in chapters(root):
        source = read(root / "solutions" / f"{name}.py")
        public = _lines(cell.source for cell in exercise(source, name).cells)
        chapter = root / "book" / f"{name}.md"
        public |= _lines([chapter.read_text(encoding="utf8")] if chapter.is_file() else [])
        for line in _lines(cell.source for cell in source.cells) - public:
            secrets[_letters(_unescaped(line))] = f"solutions/{name}.py: {line}"
    for file in sorted(html.rglob("*")):
        if file.is_file() and file.suffix in {".html", ".md", ".ipynb", ".js", ".json", ".txt"}:
            if "vendor" in file.parts:
                continue
            text = _letters(_unescaped(file.read_text(encoding="utf8", errors="replace")))
            for letters, line in secrets.items():
                if letters in text:
                    yield f"{file.relative_to(html)} holds a line of {line}"


def requests_elsewhere(html: Path) -> Iterator[str]:
    """Files that a built page would load from another host."""
    for file in sorted(html.rglob("*.html")):
        if "_static" not in file.parts:
            finder = _Loads()
            finder.feed(file.read_text(encoding="utf8"))
            for url in finder.urls:
                yield f"{file.relative_to(html)} loads {url}"


class _Loads(HTMLParser):
    """Collects the addresses on other hosts that a browser loads by itself."""

    def __init__(self):
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        link = given.get("href") if tag == "link" and given.get("rel") != "canonical" else None
        for url in (given.get("src"), given.get("poster"), link):
            if url and re.match(r"(https?:)?//", url):
                self.urls.append(url)


def _lines(texts) -> set[str]:
    return {
        line.strip()
        for text in texts
        for line in text.splitlines()
        if len(_letters(line)) >= 24 and not line.strip().startswith(("import ", "from "))
    }


def _letters(text: str) -> str:
    """Text without white space, in which tags and line breaks hide nothing."""
    return re.sub(r"\s+", "", text)


def _unescaped(text: str) -> str:
    """Text without highlighting and HTML entities, and without the backslashes of JSON strings."""
    text = re.sub(r"</?span[^>]*>", "", text)
    text = re.sub(r"&#?\w+;", lambda entity: html_entities.unescape(entity[0]), text)
    return text.replace("\\n", "\n").replace("\\", "")


def _say(text: str) -> None:
    print(f"genlab build: {text}", flush=True)
