"""Who handed in what: notebooks in folders, in downloads of Moodle and Canvas, and in archives.

Nothing is unpacked onto the disk, no link is followed, and what is too large is not read. Whatever
cannot be graded is a submission all the same, with the reason.
"""

import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from genlab.course.grade.key import Key
from genlab.course.root import CourseError

LARGEST = 20 << 20  # bytes of a notebook
_OURS = {".ipynb_checkpoints", "__MACOSX"}  # copies that Jupyter and macOS make
_MEMBERS, _UNPACKED = 5000, 1 << 30  # of an archive
_CANVAS = re.compile(r"(?P<name>[^_]+)_(?:LATE_)?(?P<id>\d+)_\d+_(?P<file>.+)", re.IGNORECASE)
_MOODLE = re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_.+")


@dataclass(frozen=True)
class Submission:
    """One notebook, or the reason why there is none.

    Attributes:
        student: as the folder or the file is called.
        id: the number that Moodle or Canvas gave the student; "" if neither did.
        file: where it lies below the folder of submissions, in an archive after ``!``.
        chapter: to which it belongs; "" if that cannot be said.
    """

    student: str
    id: str
    file: str
    chapter: str = ""
    data: bytes = b""
    problem: str = ""


def find(folder: Path, keys: Mapping[str, Key]) -> list[Submission]:
    """The submissions below a folder, by their paths.

    Raises:
        CourseError: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise CourseError(f"There is no folder {folder}. Give the one that holds the submissions.")
    found: dict[str, Submission] = {}
    for path, data, problem in sorted(_files(folder)):
        name = printable(path)
        while name in found:  # twice in an archive, say; each has its own result
            name += "'"
        found[name] = _submission(name, data, printable(problem), keys)
    if not found:
        raise CourseError(
            f"{folder} holds no notebook. Expected files such as {folder}/ada/01_density.ipynb, or "
            "the folders that Moodle and Canvas make."
        )
    return list(found.values())


def printable(text: str) -> str:
    """Text that does nothing to a terminal, and that every file takes."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _files(folder: Path) -> Iterator[tuple[str, bytes, str]]:
    """Path, content and problem of each notebook, each link, and each folder without either."""
    heads = set()
    for path, data, problem in _inside(folder):
        heads.add(path.split("/")[0])
        yield path, data, problem
    for name in sorted({_path(p, folder) for p in folder.iterdir() if p.is_dir()} - heads - _OURS):
        yield f"{name}/", b"", "there is no notebook in it"


def _inside(folder: Path) -> Iterator[tuple[str, bytes, str]]:
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(set(folders) - _OURS)
        linked = [name for name in (*folders, *files) if (here / name).is_symlink()]
        for name in linked:
            yield _path(here / name, folder), b"", "it is a link, and links are not followed"
        for name in sorted(set(files) - set(linked)):
            file = here / name
            path = _path(file, folder)
            if not file.is_file():
                yield path, b"", "it is no file"
            elif name.lower().endswith(".ipynb"):
                yield path, *_small(file.stat().st_size, partial(file.open, "rb"))
            elif name.lower().endswith(".zip"):
                yield from _unpacked(file, path)


def _unpacked(file: Path, path: str) -> Iterator[tuple[str, bytes, str]]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            names = [PurePosixPath(m.filename.replace("\\", "/")) for m in members]
            out = [n for n in names if n.is_absolute() or ".." in n.parts]
            if out:
                yield path, b"", f"a path in the archive leads out of it: {out[0]}"
            elif len(members) > _MEMBERS or sum(m.file_size for m in members) > _UNPACKED:
                yield path, b"", "the archive is larger unpacked than 1 GB, or than 5,000 files"
            else:
                for member, name in zip(members, names, strict=True):
                    if _OURS & {*name.parts}:
                        continue
                    if name.suffix.lower() == ".zip":
                        yield f"{path}!{name}", b"", "an archive in an archive is not opened"
                    elif name.suffix.lower() == ".ipynb":
                        opened = partial(archive.open, member)
                        yield f"{path}!{name}", *_small(member.file_size, opened)
    except Exception as error:  # each way of packing has its own for what is broken
        yield path, b"", f"the archive cannot be read: {error}"


def _small(size: int, opened: Callable[[], IO[bytes]]) -> tuple[bytes, str]:
    """The content, and what is wrong with it; an archive may lie about the size."""
    try:
        with opened() as stream:
            data = stream.read(LARGEST + 1) if size <= LARGEST else b""
    except Exception as error:
        return b"", f"it cannot be read: {error}"
    if size > LARGEST or len(data) > LARGEST:
        return b"", f"the notebook is larger than {LARGEST >> 20} MB; without outputs it is small"
    return data, ""


def _path(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix().encode(errors="replace").decode()


def _submission(path: str, data: bytes, problem: str, keys: Mapping[str, Key]) -> Submission:
    parts = re.sub(r"(?i)(\.zip)!", r"\1/", path).strip("/").split("/")
    chapter = _chapter(parts[-1], data, keys)
    if not problem and not chapter:
        problem = f"neither its name nor its code says of which chapter: {', '.join(keys)}"
    return Submission(*_who(parts), path, chapter, data, problem)


def _who(parts: list[str]) -> tuple[str, str]:
    """The student and the number that a path names."""
    if known := _known(parts[0]):
        return known["name"], known["id"]
    if len(parts) > 1 and parts[0].lower().endswith(".zip"):
        download = len(parts) > 2 or _known(parts[1])  # else a student's own
        return _who(parts[1:]) if download else (parts[0].rsplit(".", 1)[0], "")
    return (parts[0] if len(parts) > 1 else parts[0].rsplit(".", 1)[0]), ""


def _known(part: str) -> re.Match | None:
    return _CANVAS.fullmatch(part) or _MOODLE.fullmatch(part)


def _chapter(name: str, data: bytes, keys: Mapping[str, Key]) -> str:
    """The chapter that is in the file's name, else the one most of whose names are defined."""
    named = [chapter for chapter in keys if chapter in name]
    if named or not data:
        return max(named, key=len, default="")
    text = data.decode(errors="replace")
    defined = set(re.findall(r"\b(?:def|class) +(\w+)", text))
    hits = {
        chapter: len(defined & {n for task in key.tasks for n in task.names})
        for chapter, key in keys.items()
    }
    best = max(hits, key=hits.get)
    return best if hits[best] > 0 and list(hits.values()).count(hits[best]) == 1 else ""
