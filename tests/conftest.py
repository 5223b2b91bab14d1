"""Fixtures shared by all tests."""

from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture
def g() -> torch.Generator:
    """A seeded generator; every test draws from its own."""
    return torch.Generator().manual_seed(20260101)


@pytest.fixture
def root() -> Path:
    """The folder of the course."""
    return ROOT


def slope(n, risk) -> float:
    """Least-squares slope on a log-log plot."""
    x, y = torch.as_tensor(n).double().log(), torch.as_tensor(risk).double().log()
    return float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
