"""What one end of a link has handed out, what it has got, and how values are written down.

Data is copied. Functions, objects and classes stay where they are: the other end gets a number, and
a stand-in for it. A student's end hands out functions, networks, optimizers and instances of
the classes that an exercise asks for; everything else has to be data. A grader's end lets itself be
asked only for what belongs to the course: a tensor's methods, say, lead to every file.
"""

import types
from typing import Any

import torch
from torch import Generator, Tensor, nn

from genlab.course.grade import wire
from genlab.course.grade.channel import Refused
from genlab.course.grade.far import FAR, Far, FarModule, Given, far_function, far_type, number_of
from genlab.course.grade.grads import Shared

_FUNCTIONS = types.FunctionType | types.BuiltinFunctionType | types.MethodType
_COURSE = ("genlab.", "check.", "torch.nn.", "torch.optim.", "torch.distributions.")
_OF_OPTIMIZERS = ("step", "zero_grad", "param_groups", "state_dict", "defaults")


class Things:
    """The numbered things of one end, for as long as an exercise lasts."""

    def __init__(self, link: Any, name: str, wanted: tuple[type, ...] | None):
        self.link, self.name = link, name
        self.wanted = wanted  # classes of which a student may hand out objects; None for a grader
        self.shared = Shared(link, name)
        self._things: dict[str, object] = {}
        self._numbers: dict[int, str] = {}
        self._types: dict[str, type] = {}

    def pack(self, value: object, raw: bytearray, sent: list) -> object:
        """A value as JSON; what the other end may change in place is noted in ``sent``.

        Raises:
            Refused: it is no data, and not handed out.
        """

        def other(value: object) -> object:
            kind = type(value)
            if number := number_of(value):
                return {"home": number}
            if kind is nn.Parameter or (kind is Tensor and value.requires_grad):
                return {"shared": self.shared.pack(value, raw)}
            if kind is Tensor:
                sent.append(value)
                return {"tensor": wire.pack_tensor(value, raw)}
            if kind is Generator:
                sent.append(value)
                return {"generator": wire.pack_tensor(value.get_state(), raw)}
            return {"far": self._handed_out(value, other)}

        return wire.pack(value, raw, other)

    def unpack(self, node: object, raw: bytes, got: list) -> object:
        """The value of a JSON; ``got`` is what its sender noted in ``sent``."""

        def other(kind: str, inner: object) -> object:
            match kind:
                case "home":
                    return self.shared.own[inner] if inner in self.shared.own else self.mine(inner)
                case "shared":
                    return self.shared.unpack(inner, raw)
                case "tensor":
                    got.append(wire.unpack_tensor(inner, raw))
                    return got[-1]
                case "generator":
                    got.append(Generator())
                    got[-1].set_state(wire.unpack_tensor(inner, raw))
                    return got[-1]
                case "far":
                    return self._stand_in(inner, raw)
            raise Refused(f"it sent a {kind}, which is no data")

        return wire.unpack(node, raw, other)

    def mine(self, number: str) -> object:
        """What was handed out under this number, or under ``number.attribute``."""
        number, _, name = number.partition(".")
        if number not in self._things:
            raise Refused(f"nothing was handed out as {number}")
        thing = self._things[number]
        return self.attribute(thing, name) if name else thing

    def attribute(self, thing: object, name: str) -> object:
        """What the other end may know of a thing that was handed out.

        Raises:
            AttributeError: it may not know this.
        """
        grades = self.wanted is None
        if grades and (isinstance(thing, type) or not _of_course(type(thing))):
            raise AttributeError(f"{name} does not cross")
        if grades and isinstance(thing, torch.optim.Optimizer) and name not in _OF_OPTIMIZERS:
            raise AttributeError(f"{name} does not cross")
        value = getattr(thing, public(name, thing))
        torchs = isinstance(value, types.MethodType) and value.__module__.startswith("torch.nn.")
        if grades and torchs:  # such as reset_parameters
            raise AttributeError(f"{name} does not cross")
        return value

    def _handed_out(self, value: object, pack: Any) -> list:
        if isinstance(value, types.MethodType) and id(value.__self__) in self._numbers:
            number = self._numbers[id(value.__self__)]
            return [f"{number}.{public(value.__name__, value.__self__)}", "function"]
        if isinstance(value, _FUNCTIONS):
            return [self._number(value), "function"]
        if isinstance(value, nn.Module):
            weights = {name: pack(w) for name, w in value.named_parameters(recurse=False)}
            children = {name: pack(child) for name, child in value.named_children()}
            of, listed = self._class(type(value)), isinstance(value, nn.ModuleList)
            return [self._number(value), "network", of, weights, children, listed]
        grades = self.wanted is None
        if isinstance(value, type) and (not grades or _of_course(value)):
            return self._class(value)
        asked = (torch.optim.Optimizer, *(self.wanted or ()))
        stays = _of_course(type(value)) if grades else isinstance(value, asked)
        if callable(value) and not stays:  # partial(f, 2), an object with ``__call__``
            return [self._number(value), "function"]
        if not stays:
            raise Refused(
                "expected numbers, tensors, strings, or lists, tuples and dicts of them; got a "
                f"{type(value).__name__}"
            )
        return [self._number(value), "object", self._class(type(value))]

    def _stand_in(self, node: list, raw: bytes) -> object:
        number, kind, *how = node
        if kind == "function":
            return far_function(self.link, number)
        if kind == "class":
            name, methods, network = how
            if number not in self._types:
                base = FarModule if network else Far if self.wanted is None else Given
                self._types[number] = far_type(self.link, number, base, name, methods)
            return self._types[number]
        of = self._stand_in(how[0], raw)
        if kind == "object":
            return of._at(number)
        weights, children = (
            {name: self.unpack(part, raw, []) for name, part in parts.items()} for parts in how[1:3]
        )
        if not how[3]:
            return of._at(number, weights, children)
        many = nn.ModuleList(children.values())
        many.__dict__[FAR] = number
        return many

    def _number(self, thing: object) -> str:
        if id(thing) not in self._numbers:
            number = f"{self.name}{len(self._things)}"
            self._things[number], self._numbers[id(thing)] = thing, number
        return self._numbers[id(thing)]

    def _class(self, kind: type) -> list:
        network = issubclass(kind, nn.Module)
        methods = [m for m in dir(kind) if m[0] != "_" and callable(getattr(kind, m, None))]
        return [self._number(kind), "class", kind.__name__, [] if network else methods, network]


def _of_course(kind: type) -> bool:
    """Whether a class is the course's, the check's, or one of those that both are made of."""
    return f"{kind.__module__}.".startswith(_COURSE)


def public(name: str, thing: object = None) -> str:
    """The name of an attribute, if the other side may know it.

    Of a network it may not ask for what would change it: hooks, states, modes.

    Raises:
        AttributeError: it may not.
    """
    if type(name) is not str or name.startswith("_"):
        raise AttributeError(f"{name} is private")
    if isinstance(thing, nn.Module) and hasattr(nn.ModuleList, name):
        raise AttributeError(f"{name} does not cross")
    return name
