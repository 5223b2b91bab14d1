"""The head of a student's notebook: a cell that installs genlab where it is missing, and links.

A notebook is opened in places that nobody prepared. The cell does nothing where this version of
genlab is; on Colab or a bare JupyterHub it installs the wheel of the release.
"""

from html import escape
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import nbformat
from packaging.utils import parse_wheel_filename

from genlab.course.notebooks import dumps
from genlab.course.release.plan import Plan

_CELL = """\
# Where genlab is missing, as on Colab, this installs it. Where it is there, nothing happens.
from importlib.util import find_spec
from pathlib import Path
wheel = "../{wheel}"
if {missing}:
    {remedy}
if not find_spec("genlab"):
    %pip install --quiet {{wheel}}
from genlab import __version__ as found
if found != "{version}":
    print(f"genlab {{found}} is installed here, and this notebook needs {version}.",
          f"Run this in a cell, then restart the kernel: %pip install {{wheel}}")"""


def prepare(root: Path, plan: Plan, wheel: str) -> None:
    """Put the cell and the links into every notebook of ``exercises``.

    ``wheel`` is the file name of the wheel that lies beside the notebooks' folder.
    """
    for file in sorted((root / "exercises").glob("*.ipynb")):
        nb = nbformat.read(file, 4)
        code = next(i for i, cell in enumerate(nb.cells) if cell.cell_type == "code")
        if links := _links(plan, file.name):
            nb.cells[0].source += f"\n\n{links}"
        # On the site, where nothing runs, the cell is not shown.
        metadata = {"tags": ["remove-cell"]}
        cell = nbformat.v4.new_code_cell(_cell(plan, wheel), id="install-genlab", metadata=metadata)
        nb.cells.insert(code, cell)
        file.write_text(dumps(nb), encoding="utf8")


def _cell(plan: Plan, wheel: str) -> str:
    _, version, *_ = parse_wheel_filename(wheel)
    if plan.repository:
        missing = "not Path(wheel).exists()"
        remedy = f'wheel = "{plan.repository}/raw/{quote(plan.branch)}/{wheel}"'
    else:
        missing = 'not find_spec("genlab") and not Path(wheel).exists()'
        remedy = 'raise ImportError("Unpack the whole student archive, and follow its README.md.")'
    return _CELL.format(wheel=wheel, version=version, missing=missing, remedy=remedy)


def _links(plan: Plan, name: str) -> str:
    """Where else the notebook opens, as far as the plan says where its repository is."""
    if not plan.repository:
        return ""
    file = f"exercises/{name}"
    project = urlsplit(plan.repository).path.strip("/")
    branch = quote(plan.branch)
    colab = f"https://colab.research.google.com/github/{project}/blob/{branch}/{file}"
    binder = f"https://mybinder.org/v2/gh/{project}/{quote(plan.branch, safe='')}"
    binder += f"?{urlencode({'labpath': file})}"
    links = [f"[Colab]({colab})", f"[Binder]({binder})"]
    if plan.hub:
        folder = project.split("/")[-1]
        query = {"repo": plan.repository, "branch": plan.branch}
        query["urlpath"] = f"lab/tree/{folder}/{file}"
        address = f"{plan.hub}/hub/user-redirect/git-pull?{urlencode(query)}"
        # Not in Markdown, where MyST escapes each & twice.
        links.append(f'<a href="{escape(address)}">JupyterHub</a>')
    return f"Open this notebook in {', '.join(links[:-1])} or {links[-1]}."
