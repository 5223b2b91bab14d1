"""The printable edition: the whole book as a PDF, set by Chromium.

Chromium numbers the pages, but cannot say in a table of contents where something stands. So the
book is printed, the pages are looked up, and it is printed again with their numbers.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

import yaml
from pypdf import PdfReader

from genlab.course.doctor import BROWSERS
from genlab.course.release.onepage import one_page
from genlab.course.root import CourseError

# Chromium by itself: no graphics card, no other process's sandbox, no talk with its makers.
ALONE = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)
_FLAGS = (
    "--headless",
    *ALONE,
    "--no-pdf-header-footer",
    "--generate-pdf-document-outline",
    # Of the page's own clock, which stands still while a script or a file is awaited.
    "--virtual-time-budget=60000",
)
_READY = "ready".ljust(4000, ".")  # the title that print.js gives at its end
_ABOUT = re.compile(rb"(?<=\n1 0 obj\n)<<.*?>>(?=\nendobj\n)", re.DOTALL)


def chromium() -> str:
    """Path of the browser that prints.

    Raises:
        CourseError: there is none.
    """
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    raise CourseError(
        "Chromium prints the book, and none is installed. Install it (Debian: apt install "
        "chromium) or Google Chrome, so that one of these is on your path: " + ", ".join(BROWSERS)
    )


def printed(root: Path, target: Path, when: datetime, run: Callable) -> None:
    """Print the site in ``root/_build/html`` into the PDF ``target``, dated ``when``.

    The same pages, Chromium and fonts give the same bytes. ``run`` starts Chromium, as
    :func:`subprocess.run` does.

    Raises:
        CourseError: there is no Chromium, or it does not print the book.
    """
    browser = chromium()
    file = root.resolve() / "_build" / "print.html"
    page = one_page(root, when)
    numbers: dict[str, int] = {}
    for _ in range(4):
        file.write_text(_numbered(page, numbers), encoding="utf8")
        pdf = _print(browser, file, run)
        before, numbers = numbers, _page_numbers(pdf)
        if numbers == before:
            break
    else:
        raise CourseError("the printed book does not settle: its page numbers move its pages.")
    file.unlink()
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf8"))
    target.write_bytes(_dated(pdf, config["title"], config["author"], when))


def _numbered(page: str, numbers: dict[str, int]) -> str:
    """The page with its numbers; with zeros of the same width while there are none."""

    def number(of: re.Match) -> str:
        return f'<span class="page">{numbers[of[1]] if numbers else "000"}</span>'

    return re.sub(r'<span data-page="([^"]*)"></span>', number, page)


def _print(browser: str, page: Path, run: Callable) -> bytes:
    with tempfile.TemporaryDirectory(dir=page.parent, ignore_cleanup_errors=True) as scratch:
        pdf = Path(scratch) / "book.pdf"
        command = [browser, *_FLAGS, f"--user-data-dir={scratch}", f"--print-to-pdf={pdf}"]
        # Chromium makes a socket there, and the path of a socket has room for 107 letters only.
        env = os.environ | {"TMPDIR": ".", "XDG_CONFIG_HOME": scratch, "XDG_CACHE_HOME": scratch}
        command.append(page.as_uri())
        done = run(command, cwd=scratch, env=env, capture_output=True, text=True, check=False)
        if done.returncode or not pdf.is_file():
            raise CourseError(f"Chromium did not print the book:\n{done.stderr.strip()[-1500:]}")
        return pdf.read_bytes()


def _page_numbers(pdf: bytes) -> dict[str, int]:
    """The page, counted from 1, on which each anchor stands that something links to."""
    reader = PdfReader(BytesIO(pdf))
    if reader.metadata.title != _READY:
        raise CourseError(
            "Chromium printed the book before its formulas were set. Is MathJax in the site? npm "
            "fetches it: install Node.js and try again."
        )
    return {
        name.removeprefix("/"): reader.get_destination_page_number(place) + 1
        for name, place in reader.named_destinations.items()
    }


def _dated(pdf: bytes, title: str, author: str, when: datetime) -> bytes:
    """The same book with its own title, author and hour, which Chromium does not ask for.

    They are put in place, byte for byte: writing 40,000 objects anew would take longer than to
    print them.
    """
    hour = when.strftime("D:%Y%m%d%H%M%S+00'00'")
    about = b"<</Title %s/Author %s/CreationDate (%s)/ModDate (%s)>>" % (
        _string(title),
        _string(author),
        hour.encode(),
        hour.encode(),
    )
    return _ABOUT.sub(lambda old: about.ljust(len(old[0])), pdf, count=1)


def _string(text: str) -> bytes:
    return b"<%s>" % ("\ufeff" + text).encode("utf-16-be").hex().encode()
