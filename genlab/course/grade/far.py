"""Stand-ins for what lives in the other process."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from genlab.course.grade.transforms import taken_apart, transforming

FAR = "_genlab_far"  # under which number the other side handed it out


def number_of(value: object) -> str | None:
    """The number of a stand-in; None for everything else."""
    own = getattr(value, "__dict__", None)
    number = own.get(FAR) if own is not None else None
    return number if type(number) is str else None


def far_function(link: Any, number: str) -> Callable:
    """A function of the other side."""

    def far(*args: object, **kwargs: object) -> object:
        return _called(link, far, args, kwargs)

    setattr(far, FAR, number)
    return far


def _called(link: Any, far: object, args: tuple, kwargs: dict, weights: list = ()) -> object:
    if transforming():
        whole = link.things.shared.whole
        return taken_apart(lambda *a, **k: _called(link, far, a, k), args, kwargs, weights, whole)
    return link.ask("call", far, args, kwargs, torch.is_grad_enabled())


def far_type(link: Any, number: str, base: type, name: str, methods: list[str]) -> type:
    """A class of the other side; its methods are its own, so that protocols know it."""

    def method(name: str) -> Callable:
        return lambda self, *args, **kwargs: far_function(link, f"{vars(self)[FAR]}.{name}")(
            *args, **kwargs
        )

    own = {name: method(name) for name in methods if name[0] != "_"}  # never an ``__eq__``
    return type(name, (base,), {**own, "_link": link, FAR: number})


class Far:
    """An object of the other side: it can be called, and asked for what is public."""

    _link: Any

    def __new__(cls, *args: object, **kwargs: object) -> object:
        return cls._link.ask("call", cls, args, kwargs, torch.is_grad_enabled())

    def __init__(self, *args: object, **kwargs: object):
        """It was made on the other side."""

    @classmethod
    def _at(cls, number: str) -> "Far":
        far = object.__new__(cls)
        vars(far)[FAR] = number
        return far

    def __getattr__(self, name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._link.ask("get", self, name)

    def __setattr__(self, name: str, value: object) -> None:
        self._link.ask("set", self, name, value)

    def __call__(self, *args: object, **kwargs: object) -> object:
        return _called(self._link, self, args, kwargs)


class Given(Far):
    """An object of the check, in the hands of a student: also a list, and it can be copied."""

    def __len__(self) -> int:
        return self._link.ask("len", self)

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, key: object) -> object:
        return self._link.ask("item", self, key)

    def __iter__(self) -> Iterator:
        return iter(self._link.ask("list", self))

    def __deepcopy__(self, memo: dict) -> object:
        return self._link.ask("copy", self)


class FarModule(nn.Module):
    """A network of the other side: its weights are here too, only ``forward`` is not."""

    _link: Any

    def __new__(cls, *args: object, **kwargs: object) -> object:
        return cls._link.ask("call", cls, args, kwargs, torch.is_grad_enabled())

    def __init__(self, *args: object, **kwargs: object):
        """It was made on the other side."""

    @classmethod
    def _at(cls, number: str, weights: dict, children: dict) -> "FarModule":
        far = object.__new__(cls)
        nn.Module.__init__(far)
        far.__dict__[FAR] = number
        far._parameters.update(weights)
        far._modules.update(children)
        return far

    def forward(self, *args: object, **kwargs: object) -> object:
        return _called(self._link, self, args, kwargs, list(self.parameters()))

    def __getattr__(self, name: str) -> object:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("_"):
                raise
        return self._link.ask("get", self, name)

    def __setattr__(self, name: str, value: object) -> None:
        known = name in vars(self) or isinstance(value, nn.Parameter | nn.Module)
        if name.startswith("_") or known or not self._link.grades:
            super().__setattr__(name, value)
        else:
            self._link.ask("set", self, name, value)

    __len__, __getitem__, __iter__ = Given.__len__, Given.__getitem__, Given.__iter__
    __bool__, __deepcopy__ = Given.__bool__, Given.__deepcopy__
