"""What students must not see, and whether a text holds a piece of it.

Lines are compared by their letters, figures and plain signs only: white space, quotes, the marks of
Markdown and whatever is not ASCII are passed over, so that a line break, a typographic quote, a
minus sign or UTF-16 hides nothing.
"""

import html
import json
import re
import string
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from sphinx.search.en import SearchEnglish

from genlab.course.notebooks import MARKERS, exercise, read
from genlab.course.root import chapters

# Found in any text by its 8-letter words, see `Secrets.lines_in`: 15 letters or more hold, wherever
# they begin, a whole one of the words that a text is cut into.
_WORD = 8
_ENOUGH = 2 * _WORD - 1
_KEPT = string.ascii_letters + string.digits + "=+/()[]{}:;%@!|^"
_LOWER = bytes(range(256)).lower()
_DROPPED = bytes(set(range(256)) - set(_KEPT.encode()))
_INDEX = re.compile(rb"\s*Search\.setIndex\((.*)\)\s*;?\s*", re.DOTALL)
_PUBLIC = {".md", ".py", ".toml", ".bib", ".json", ".ipynb", ".mjs", ".js", ".txt"}
_ESCAPED = re.compile(  # in JSON, Python and JavaScript first
    rb"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|u\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|(.))"
    rb"|%([0-9a-fA-F]{2})"  # in addresses
    rb"|&(#?\w{1,31};)"  # in HTML
    rb"|\x1b\[[0-9;]*[A-Za-z]",  # colours of a terminal
    re.DOTALL,
)
_TAG = re.compile(rb"</?[A-Za-z][^<>]*>")


@dataclass(frozen=True)
class Secrets:
    """Lines of solutions, wrong answers and hidden tests, and the words that only they use."""

    lines: dict[bytes, tuple[str, str]]  # the letters of a line: the file it is from, and the line
    words: dict[str, tuple[str, str]]  # the stem of a word: the file it is from, and the word

    @cached_property
    def _pieces(self) -> dict[int, list[bytes]]:
        pieces = defaultdict(list)
        for line in self.lines:
            for i in range(_WORD):
                pieces[int.from_bytes(line[i : i + _WORD], sys.byteorder)].append(line)
        return dict(pieces)

    def lines_in(self, data: bytes) -> set[tuple[str, str]]:
        """The lines that a text holds: as it stands, without its escapes, and without its tags."""
        found = set()
        for text in {_letters(reading) for reading in _readings(data)}:
            words = memoryview(text)[: len(text) // _WORD * _WORD].cast("Q")
            for piece in self._pieces.keys() & words:
                found |= {self.lines[line] for line in self._pieces[piece] if line in text}
        return found

    def words_in(self, data: bytes) -> set[tuple[str, str]]:
        """The words that an index of Sphinx's search holds; none in any other file."""
        index = _INDEX.fullmatch(data)
        known = json.loads(index[1]) if index else {}
        stems = {*known.get("terms", {}), *known.get("titleterms", {})}
        return {self.words[stem] for stem in self.words.keys() & stems}


def secrets(root: Path) -> Secrets:
    """What must not be handed out, from the sources of all chapters.

    A line counts unless it stands in an exercise or in the package, which every student has. If it
    is too short to be known by itself, it counts together with what stands before it in its cell.

    Raises:
        CourseError: a source that is not well formed.
    """
    sources = {name: read(root / "solutions" / f"{name}.py") for name in chapters(root)}
    handed_out = [
        *(cell.source for name, nb in sources.items() for cell in exercise(nb, name).cells),
        *(path.read_text(encoding="utf8") for path in sorted((root / "genlab").rglob("*.py"))),
    ]
    public = b"\n".join(_letters(text.encode()) for text in handed_out)
    said = _stems("\n".join([*handed_out, *_texts(root)]))
    lines, words = {}, {}
    for name, nb in sources.items():
        place = f"solutions/{name}.py"
        for cell in nb.cells:
            for passage in _passages(cell.source):
                if _letters(passage.encode()) not in public:
                    for letters in map(_letters, _readings(passage.encode())):
                        if len(letters) >= _ENOUGH:
                            lines.setdefault(letters, (place, passage))
            for stem, word in _stems(cell.source).items():
                if stem not in said:
                    words[stem] = place, word
    return Secrets(lines, words)


@lru_cache(maxsize=1)  # asked for twice in a row
def decoded(data: bytes) -> bytes:
    """A text without the escapes of JSON, HTML, addresses and terminals, also one in another."""
    for _ in range(8):
        less = _ESCAPED.sub(_plain, data)
        if less == data:
            break
        data = less
    return data


def _readings(data: bytes) -> Iterator[bytes]:
    yield data
    yield (text := decoded(data))
    yield _TAG.sub(b"", text)


def _letters(data: bytes) -> bytes:
    return data.translate(_LOWER, _DROPPED)


def _plain(escape: re.Match) -> bytes:
    *codes, sign, percent, entity = escape.groups()
    if sign:
        return b"" if sign in b"nrtbfv" else sign
    if entity:
        return html.unescape(f"&{entity.decode('latin1')}").encode("ascii", "ignore")
    code = int(next(filter(None, (*codes, percent)), b"0"), 16)
    return bytes([code]) if 0 < code < 128 else b""


def _passages(source: str) -> Iterator[str]:
    """Each line of a cell; a short one with as much before it as makes it known."""
    before: list[str] = []
    for line in map(str.strip, source.splitlines()):
        if line in MARKERS or not _letters(line.encode()):
            continue
        before.append(line)
        start = len(before) - 1
        while start and len(_letters(" ".join(before[start:]).encode())) < _ENOUGH:
            start -= 1
        if not line.startswith(("import ", "from ")):
            yield " ".join(before[start:])


def _texts(root: Path) -> Iterator[str]:
    """What the pages are made of, tests (of which they give the names) and measurements too."""
    for folder in (root / "book", root / "genlab", root / "tests", root / "benchmarks"):
        for path in sorted(folder.rglob("*")):
            if path.suffix in _PUBLIC and not {"node_modules", "vendor"} & {*path.parts}:
                yield path.read_text(encoding="utf8", errors="replace")


def _stems(text: str) -> dict[str, str]:
    """Words as Sphinx's search writes them, of those that somebody may have made up."""
    language = SearchEnglish({})
    found = {word for word in language.split(text) if len(word) > 3 and word.isidentifier()}
    return {language.stem(word).lower(): word for word in sorted(found)}
