"""A student's first hour, word by word from the README of the archive.

The archive is unpacked into an empty folder by somebody whose home is empty. Where the machine
reaches the network directly, every host but that of pip's index is out of reach.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest
from archives import ROOT, make
from jupyter_client import BlockingKernelClient

from genlab.course import notebooks
from genlab.course.release.archive import zipped

NOWHERE = "http://127.0.0.1:9"  # nobody listens there
# What pip would ask if nothing were configured.
DEFAULT = "from pip._internal.models.index import PyPI as p; print(p.url, p.file_storage_domain)"


@dataclass
class Student:
    """Somebody with the unpacked archive and two commands to give."""

    archive: Path
    env: dict[str, str]
    install: str
    open: str

    @property
    def said(self) -> Path:
        """What the last command had to say."""
        return self.archive.with_name("said.txt")

    def gives(self, command: str) -> subprocess.Popen:
        shell = ["sh", "-c", command]
        with self.said.open("w") as said:
            streams = {"stdin": subprocess.DEVNULL, "stdout": said, "stderr": said}
            return subprocess.Popen(shell, cwd=self.archive, env=self.env, **streams)


class Server:
    """The JupyterLab that the second command starts, as a browser sees it."""

    def __init__(self, home: Path):
        (file,) = home.rglob("jpserver-*.json")
        info = json.loads(file.read_text())
        self.home, self.url, self.token = home, info["url"], info["token"]
        self.folder = Path(info["root_dir"])

    def asks(self, what: str, **given) -> dict:
        """The answer to GET, or to POST with ``given`` as JSON."""
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        data = json.dumps(given).encode() if given else None
        request = urllib.request.Request(f"{self.url}api/{what}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "{}")

    def kernel(self, path: str) -> BlockingKernelClient:
        """A client of the kernel that the server starts for a notebook."""
        kind = {"type": "notebook", "name": "", "kernel": {"name": "python3"}}
        number = self.asks("sessions", path=path, **kind)["kernel"]["id"]
        (file,) = self.home.rglob(f"kernel-{number}.json")
        client = BlockingKernelClient()
        client.load_connection_file(str(file))
        client.start_channels()
        client.wait_for_ready(timeout=120)
        return client


def listening(home: Path) -> Server | None:
    """The server, as soon as it has said where it is and answers there."""
    try:
        server = Server(home)
        server.asks("status")
    except (ValueError, OSError):
        return None
    return server


def index_hosts(python: Path) -> str:
    """The hosts of pip's index as it is configured here, for no_proxy."""
    said = [
        subprocess.run([python, *arguments], capture_output=True, text=True, check=True).stdout
        for arguments in (["-m", "pip", "config", "list"], ["-c", DEFAULT])
    ]
    return ",".join({"127.0.0.1", "localhost", *re.findall(r"[\w-]+(?:\.[\w-]+)+", " ".join(said))})


@pytest.fixture(scope="module")
def somebody(tmp_path_factory) -> Iterator[Student]:
    """The archive of the real course in an empty folder, and an empty home."""
    folder = tmp_path_factory.mktemp("first_hour")
    made = make(folder)
    zipped(made.student, folder / "student.zip", datetime(2027, 1, 1, tzinfo=UTC), "genlab-2027.1")
    home, place, programs = (folder / name for name in ("home", "place", "bin"))
    for new in (home, place, programs):
        new.mkdir()
    with zipfile.ZipFile(folder / "student.zip") as archive:
        archive.extractall(place)
    (archive,) = place.iterdir()
    python = Path(sys._base_executable)
    (programs / "python3").write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
    (programs / "python3").chmod(0o755)
    kept = re.compile(r"(PIP|SSL|REQUESTS|CURL)_|LANG|(HTTPS?|ALL|NO)_PROXY", re.IGNORECASE)
    env = {name: value for name, value in os.environ.items() if kept.match(name)}
    if not any("proxy" in name.lower() for name in env):
        env |= {"http_proxy": NOWHERE, "https_proxy": NOWHERE, "no_proxy": index_hosts(python)}
    env |= {"HOME": str(home), "PATH": f"{programs}:/usr/bin:/bin", "BROWSER": "true"}
    # For a folder that is thrown away, nothing need be kept, compiled ahead, or drawn into a file.
    env |= {"PIP_NO_CACHE_DIR": "1", "PIP_NO_COMPILE": "1", "PIP_PROGRESS_BAR": "off"}
    env |= {"OMP_NUM_THREADS": "1"}
    for own in (".config/pip/pip.conf", ".pip/pip.conf"):
        if (Path.home() / own).is_file():
            (home / own).parent.mkdir(parents=True)
            shutil.copy(Path.home() / own, home / own)
    if os.geteuid() == 0:  # which a student is not, and Jupyter asks to be told of
        (home / ".jupyter").mkdir()
        allowed = {"ServerApp": {"allow_root": True}}
        (home / ".jupyter" / "jupyter_server_config.json").write_text(json.dumps(allowed))
    text = (archive / "README.md").read_text(encoding="utf8")
    (block,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    yield Student(archive, env, *block.splitlines())
    shutil.rmtree(folder)  # gigabytes


@pytest.fixture(scope="module")
def server(somebody) -> Iterator[Server]:
    """What stands after both commands."""
    assert somebody.gives(somebody.install).wait() == 0, somebody.said.read_text()[-3000:]
    running = somebody.gives(somebody.open)
    until = time.monotonic() + 120
    while (server := listening(Path(somebody.env["HOME"]))) is None and running.poll() is None:
        if time.monotonic() > until:
            running.kill()
        time.sleep(0.1)
    assert server, somebody.said.read_text()
    yield server
    server.asks("shutdown", now=True)
    running.wait(60)


def printed(client: BlockingKernelClient, code: str) -> str:
    """What a cell prints, or the error that stops it."""
    said = []

    def hear(message: dict) -> None:
        content = message["content"]
        said.append(content.get("text") or content.get("evalue") or "")

    client.execute_interactive(code, output_hook=hear, timeout=120)
    return "".join(said).strip()


def test_the_first_exercise_is_open_and_answers(somebody, server):
    first = somebody.open.split()[-1]
    path = (somebody.archive / first).relative_to(server.folder).as_posix()
    nb = nbformat.from_dict(server.asks(f"contents/{path}")["content"])
    assert nb.cells[0].source.startswith("# Exercises")
    source = notebooks.read(ROOT / "solutions" / f"{Path(first).stem}.py")
    solved = {cell.id: cell.source for cell in source.cells}
    client = server.kernel(path)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    at = next(i for i, cell in enumerate(code) if "check(" in cell.source)
    *before, stub, check = code[: at + 1]
    assert [printed(client, cell.source) for cell in before] == [""] * len(before)
    assert printed(client, stub.source) == ""
    number = re.search(r'check\("(.+?)"\)', check.source)[1]
    assert printed(client, check.source) == f"{number} not attempted"
    assert printed(client, solved[stub.id]) == ""
    assert printed(client, check.source) == f"{number} right"
    where = printed(client, "import genlab, torch; print(genlab.__file__, torch.__file__)")
    assert all(file.startswith(str(somebody.archive)) for file in where.split())
    client.stop_channels()
