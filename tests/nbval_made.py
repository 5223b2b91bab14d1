"""A pytest plugin for runs of nbval: what the cells of the one notebook made, as JSON.

``-p nbval_made``, and NBVAL_MADE names the file. nbval compares the outputs and forgets them.
"""

import json
import os
from pathlib import Path


def pytest_sessionfinish(session) -> None:
    made = [item.test_outputs for item in session.items]
    Path(os.environ["NBVAL_MADE"]).write_text(json.dumps(made), encoding="utf8")
