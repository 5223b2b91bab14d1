"""Archives whose bytes depend on nothing but what is in them and the hour that is given."""

import hashlib
import zipfile
from datetime import UTC, datetime
from pathlib import Path


def zipped(folder: Path, target: Path, when: datetime, top: str = "") -> None:
    """Write everything below ``folder`` into a zip, under the folder ``top`` in it.

    The entries are sorted, each dated ``when`` (in UTC), with the same rights on every machine.
    """
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = Path(top) / file.relative_to(folder)
            entry = zipfile.ZipInfo(name.as_posix(), when.astimezone(UTC).timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whose rights follow
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, file.read_bytes())


def sha256(file: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
