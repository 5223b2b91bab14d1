"""Chapters run side by side, before Sphinx reads them.

MyST-NB would run them one after the other. Here every page whose outputs its cache does not hold
runs in a kernel of its own, as many at once as there are processors, and the outputs are put into
that cache under the key that MyST-NB looks for. It then finds them all.
"""

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from heapq import heapreplace
from pathlib import Path, PurePosixPath
from statistics import mean
from threading import Thread

import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from jupyter_cache.cache.db import NbCacheRecord
from myst_nb.core.read import (
    MystMetadataParsingError,
    is_myst_markdown_notebook,
    read_myst_markdown_notebook,
)
from myst_parser.config.main import MdParserConfig
from nbformat import NotebookNode
from sphinx_external_toc.parsing import parse_toc_yaml
from tqdm import tqdm

from genlab.course import notebooks
from genlab.course.dependencies import fingerprint, sources, stamped
from genlab.course.root import CourseError

BUDGET = 90  # seconds a page, see CONTRIBUTING.md


@dataclass
class Page:
    """A page that is executed: its name, the notebook that MyST-NB makes of it, its sources."""

    name: str
    path: Path
    notebook: NotebookNode
    sources: dict[str, str]
    began: float | None = None


def execute(root: Path) -> None:
    """Run the pages whose outputs are not in the cache of MyST-NB, put them there, say why.

    Raises:
        CourseError: a cell failed, took too long or ended its kernel (the other pages are run to
            their end); or, where ``CI`` is set, a page took longer than the budget.
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf8"))
    cache = get_cache(root / "_build" / ".jupyter_cache")
    log = cache.path / "genlab.json"
    earlier = json.loads(log.read_text(encoding="utf8")) if log.is_file() else {}
    runs = {}  # the run that gave each page its outputs: the sources it had and its seconds
    todo = []
    for page in _pages(root, config):
        if found := _cached(cache, page.notebook):
            runs[page.name] = {"seconds": found.data["execution_seconds"], "sources": page.sources}
            say = "from the cache (nothing it depends on changed)"
        else:
            todo.append(page)
            say = f"to run ({_why(page, earlier, log)})"
        print(f"  {page.name}: {say}", flush=True)
    seconds = {name: run["seconds"] for name, run in (earlier | runs).items()}
    failed = []
    try:
        with closing(_executed(todo, config["execute"]["timeout"], seconds)) as results:
            for page, result in results:
                if isinstance(result, CourseError):
                    failed.append(page.name)
                    continue
                runs[page.name] = {"seconds": seconds[page.name], "sources": page.sources}
                data = {"execution_seconds": seconds[page.name]}
                bundle = CacheBundleIn(result, str(page.path), data=data)
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    finally:
        kept = {page.name: earlier[page.name] for page in todo if page.name in earlier}
        new = log.with_suffix(".new")
        new.write_text(json.dumps(kept | runs, indent=1, sort_keys=True), encoding="utf8")
        new.replace(log)
    if failed:
        raise CourseError(f"{', '.join(sorted(failed))} failed; the reason stands above.")
    over = [
        f"{name} ({run['seconds']:.0f} s)"
        for name, run in sorted(runs.items())
        if run["seconds"] > BUDGET
    ]
    if over:
        text = f"over the budget of {BUDGET} s a page: {', '.join(over)}."
        if os.environ.get("CI"):
            raise CourseError(text)
        print(f"  {text}")


def _pages(root: Path, config: dict) -> Iterator[Page]:
    """The pages of the contents that MyST-NB would execute, in their order."""
    syntax = MdParserConfig(enable_extensions=set(config["parse"]["myst_enable_extensions"]))
    for name in parse_toc_yaml(root / "_toc.yml"):
        path = (root / name).with_suffix(".md")
        text = path.read_text(encoding="utf8") if path.is_file() else ""
        excluded = config["execute"].get("exclude_patterns", [])
        if any(PurePosixPath(path).match(pattern) for pattern in excluded):
            continue
        if is_myst_markdown_notebook(text):
            if stamped(text, "") is None:
                raise CourseError(
                    f"{name}.md has no kernelspec with a display_name in its head; copy the head "
                    "of another chapter."
                )
            text = stamped(text, fingerprint(path, root))
            try:
                nb = read_myst_markdown_notebook(text, syntax, add_source_map=True, path=path)
            except MystMetadataParsingError as error:
                raise CourseError(f"{name}.md cannot be read: {error}") from error
            cells = [(cell.source, cell.metadata) for cell in nb.cells if cell.cell_type == "code"]
            code = hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]
            yield Page(name, path, nb, {"its code": code} | sources(path, root))


def _cached(cache: JupyterCacheAbstract, nb: NotebookNode) -> NbCacheRecord | None:
    try:
        return cache.get_cache_bundle(cache.match_cache_notebook(nb).pk).record
    except KeyError:  # the notebook, or the file that its entry speaks of
        return None


def _why(page: Page, earlier: dict, log: Path) -> str:
    if not log.is_file():
        return "no record of an earlier run"
    if page.name not in earlier:
        return "new"
    old, new = earlier[page.name]["sources"], page.sources
    changed = [name for name in new | old if old.get(name) != new.get(name)]
    return f"{', '.join(changed)} changed" if changed else "its outputs are not in the cache"


def _executed(
    pages: Sequence[Page], timeout: int, seconds: dict[str, float]
) -> Iterator[tuple[Page, NotebookNode | CourseError]]:
    """Each page with its outputs, or with what stopped it, as soon as it ends.

    What is said of them keeps the order of the pages. ``seconds`` holds how long each took
    before, for the time left, and gets how long it took now.
    """
    silent, lines = list(pages), {}
    with (
        _side_by_side(pages, timeout) as running,
        tqdm(
            total=len(pages),
            leave=False,
            disable=None if pages else True,  # None: where stderr is no terminal
            bar_format="  {bar:30} {n_fmt}/{total_fmt} pages, {elapsed}{postfix}",
        ) as bar,
    ):
        while running:
            bar.set_postfix_str(_time_left(running.values(), seconds))
            done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                page = running.pop(future)
                try:
                    result, seconds[page.name] = future.result()
                    lines[page.name] = f"ran {seconds[page.name]:.0f} s"
                except CourseError as error:
                    result, lines[page.name] = error, str(error)
                bar.update()
                yield page, result
            while silent and silent[0].name in lines:
                name = silent.pop(0).name
                tqdm.write(f"  {name}: {lines[name]}")
                sys.stdout.flush()


def _time_left(pages: Iterable[Page], seconds: dict[str, float]) -> str:
    """From how long each page took before; a page that never ran is taken for a mean one."""
    if not seconds:
        return ""
    now, typical = time.monotonic(), mean(seconds.values())
    free = [0.0] * _cores()  # when each processor will be
    for page in pages:
        left = seconds.get(page.name, typical) - (now - (page.began or now))
        heapreplace(free, free[0] + max(0.0, left))
    return f"about {max(free):.0f} s left"


def _cores() -> int:
    return os.cpu_count() or 1


@contextmanager
def _side_by_side(pages: Sequence[Page], timeout: int) -> Iterator[dict[Future, Page]]:
    """Run the pages, as many at once as there are processors; on leaving, end what still runs.

    Kernels are processes; one thread listens to them all. It is not the main one, where nbclient
    would take the interrupt for itself.
    """
    loop, gate = asyncio.new_event_loop(), asyncio.Semaphore(_cores())

    async def run(page: Page) -> tuple[NotebookNode, float]:
        async with gate:
            page.began = time.monotonic()
            nb = await notebooks.run(page.notebook, page.path.parent, timeout)
            return nb, time.monotonic() - page.began

    async def end() -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield {asyncio.run_coroutine_threadsafe(run(page), loop): page for page in pages}
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
