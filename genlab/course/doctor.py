"""What is installed, what is missing, and what to do."""

import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def examine() -> bool:
    """Print one line a requirement; True if nothing that is needed is missing."""
    fine = _line(
        sys.version_info >= (3, 11),
        f"Python {platform.python_version()}",
        "Python 3.11 or newer is needed; name one: make PYTHON=python3.12",
    )
    for requirement in _direct():
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            found = None
        ok = found is not None and requirement.specifier.contains(found, prereleases=True)
        state = f"{requirement.name} {found or 'is not installed'}"
        fine &= _line(ok, state, f"wanted {requirement.specifier}; run: make setup")
    npm = "formulas are shown as TeX source without it; install Node.js"
    _line(shutil.which("npm") is not None, "npm", npm, needed=False)
    browser = next(filter(shutil.which, BROWSERS), None)
    prints = "only for a release, whose printed edition it sets; Debian: apt install chromium"
    _line(browser is not None, browser or "Chromium", prints, needed=False)
    folder = os.environ.get("GENLAB_DATA")
    _line(
        folder is not None and os.path.isdir(folder),
        f"GENLAB_DATA = {folder}" if folder else "GENLAB_DATA is not set",
        "only for the larger data sets; it names the folder that holds their files",
        needed=False,
    )
    print("All that is needed is there." if fine else "Something that is needed is missing.")
    return fine


def _direct() -> list[Requirement]:
    """The direct requirements of genlab, those of all its extras included."""
    found = []
    for text in requires("genlab") or []:
        requirement = Requirement(text)
        marker = requirement.marker
        extras = ("", "metrics", "dask", "book", "test", "dev")
        if requirement.name != "genlab" and (
            marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)
        ):
            found.append(requirement)
    return found


def _line(ok: bool, state: str, remedy: str, needed: bool = True) -> bool:
    print(f"{'ok     ' if ok else 'MISSING' if needed else 'absent '} {state}", end="")
    print("" if ok else f" ({remedy})")
    return ok
