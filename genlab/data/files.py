"""Finding the files of a data set, checking their bytes, and the sentence when one is missing.

Files are looked for in the argument ``folder``. Without it they are looked for in the folder that
the environment variable GENLAB_DATA names, then in the cache ``~/.cache/genlab``. In each of these
the set's own subfolder comes first, then the folder itself. A file may be stored with ``.gz``
added to its name; it is then unpacked. No file is used before its md5 checksum agrees.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FileSet:
    """The files of one data set.

    Args:
        title: what the set is called.
        subfolder: the folder, below a data folder, that is its own.
        source: where the files come from, as a reader would look for it.
        md5: the checksum of each file, by file name.

    Example:
        >>> import tempfile
        >>> md5 = {"a.txt": "900150983cd24fb0d6963f7d28e17f72"}
        >>> odes = FileSet("Odes", "odes", "the library", md5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     size = Path(folder, "a.txt").write_bytes(b"abc")
        ...     odes.read("a.txt", folder)
        b'abc'
    """

    title: str
    subfolder: str
    source: str
    md5: Mapping[str, str]

    def read(self, name: str, folder: str | Path | None = None) -> bytes:
        """The bytes of a file, unpacked and checked.

        Raises:
            FileNotFoundError: it is in none of the folders.
            ValueError: its checksum is another one.
        """
        path = self.find(name, folder)
        if path is None:
            raise self.missing([name], folder)
        return self.verified(name, path, unpacked(path, name))

    def find(self, name: str, folder: str | Path | None = None) -> Path | None:
        """Where the file ``name`` or ``name.gz`` is; None if it is nowhere."""
        for place in self.places(folder):
            for path in (place / name, place / f"{name}.gz"):
                if path.is_file():
                    return path
        return None

    def places(self, folder: str | Path | None = None) -> list[Path]:
        """The folders in which files are looked for, in order.

        Raises:
            FileNotFoundError: ``folder``, or what GENLAB_DATA names, is no folder.
        """
        named = folder if folder is not None else os.environ.get("GENLAB_DATA")
        roots = [Path(named).expanduser()] if named else []
        if roots and not roots[0].is_dir():
            who = "folder" if folder is not None else "the environment variable GENLAB_DATA"
            raise FileNotFoundError(
                f"Expected {who} to name a folder that holds data files, got {roots[0]}, which is "
                "no folder: create it, or name another one."
            )
        if folder is None:
            roots.append(cache_folder())
        return [place for root in roots for place in (root / self.subfolder, root)]

    def verified(self, name: str, path: Path, data: bytes) -> bytes:
        """The bytes ``data`` that were read from ``path``, if they are those of ``name``.

        Raises:
            ValueError: their checksum is another one.
        """
        found = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if found != self.md5[name]:
            raise ValueError(
                f"{path} is not the file {name} of {self.title}: expected md5 {self.md5[name]}, "
                f"found {found}. Replace it by the original from {self.source}; where another set "
                f"uses the same name, put that into the subfolder {self.subfolder}."
            )
        return data

    def missing(
        self, names: Iterable[str], folder: str | Path | None = None, reason: str = ""
    ) -> FileNotFoundError:
        """The error that says which files are missing, and what to do."""
        wanted = ", ".join(f"{name} (md5 {self.md5[name]})" for name in names)
        places = ", ".join(str(place) for place in self.places(folder))
        return FileNotFoundError(
            f"{self.title}: {wanted} not found in {places}{reason}. Get what is missing from "
            f"{self.source}, put it into a folder or its subfolder {self.subfolder}, and name the "
            "folder by folder=... or by the environment variable GENLAB_DATA."
        )


def unpacked(path: Path, name: str) -> bytes:
    """The bytes at ``path``, unpacked if it is ``name`` with ``.gz`` added.

    Raises:
        ValueError: it cannot be unpacked.
    """
    data = path.read_bytes()
    if path.name == name:
        return data
    try:
        return gzip.decompress(data)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} is damaged and cannot be unpacked ({error}): replace it by the original."
        ) from error


def cache_folder() -> Path:
    """The folder that keeps what was downloaded."""
    return Path.home() / ".cache" / "genlab"
