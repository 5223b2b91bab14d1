"""Front-end files that npm fetches: MathJax and the text font for pages, reveal.js for slides."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

# Package, folder in it, what is taken from there, and the folder it goes to.
PARTS = (
    (
        "mathjax",
        "es5",
        ("tex-chtml.js", "input", "output/chtml", "ui", "a11y", "sre"),
        "mathjax",
    ),
    (
        "@fontsource-variable/source-serif-4",
        "files",
        (
            "source-serif-4-latin-wght-normal.woff2",
            "source-serif-4-latin-wght-italic.woff2",
        ),
        "fonts",
    ),
    # For the slides: Sphinx leaves a hidden folder out of the site.
    ("reveal.js", "dist", ("reveal.js", "reveal.css", "plugin/notes.js"), ".reveal"),
)


def vendor(root: Path, run: Callable = subprocess.run) -> str:
    """Copy the files that npm installs from book/package-lock.json into book/_static/vendor.

    ``run`` starts npm, as :func:`subprocess.run` does.

    Returns:
        an empty string, or what is lost and what to do: without npm formulas stay TeX source and
        the text is set in the reader's own serif. Nothing fails.
    """
    book, target = root / "book", root / "book" / "_static" / "vendor"
    wanted = (book / "package-lock.json").read_bytes() + repr(PARTS).encode()
    stamp = target / "stamp"  # what was taken, and from which packages
    if stamp.is_file() and stamp.read_bytes() == wanted:
        return ""
    npm = shutil.which("npm")
    lost = (
        "Formulas will be shown as TeX source and the text in your own serif font. "
        "Install Node.js and build again to have both."
    )
    if npm is None:
        return f"npm is not installed, so MathJax cannot be fetched. {lost}"
    command = [npm, "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = run(command, cwd=book, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"npm could not fetch MathJax. {lost}\n{done.stderr.strip()[-600:]}"
    shutil.rmtree(target, ignore_errors=True)
    for package, folder, parts, name in PARTS:
        installed = book / "node_modules" / package
        for part in parts:
            source, copy = installed / folder / part, target / name / part
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, copy) if source.is_dir() else shutil.copy2(source, copy)
        shutil.copy2(installed / "LICENSE", target / name / "LICENSE")
    stamp.write_bytes(wanted)
    return ""
