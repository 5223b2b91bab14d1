"""Autograd across two processes, so that a check may differentiate what a student computed.

A tensor that arrives with a history is the output of a :class:`Bridge`, whose inputs are the
tensors that the other side computed it from and that are known here. ``backward`` asks the other
side for the product of a vector with the Jacobian of that part alone; that product has a history
again, for a second derivative. Weights are kept equal on both sides, gradients included.
"""

import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from genlab.course.grade.channel import Refused
from genlab.course.grade.far import FAR
from genlab.course.grade.wire import pack_tensor, unpack_tensor


class Bridge(torch.autograd.Function):
    """What the other side computed, as one operation."""

    @staticmethod
    def forward(ctx: Any, shared: "Shared", number: str, far: list, x: Tensor, *inputs: Tensor):
        ctx.shared, ctx.number, ctx.far = shared, number, far
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor):
        pulled = ctx.shared.pull(ctx.number, grad, ctx.far)
        return None, None, None, None, *pulled


class Shared:
    """Tensors with gradients that both sides know by a number."""

    def __init__(self, link: Any, name: str):
        self.link, self.name = link, name
        self.own: dict[str, Tensor] = {}  # handed out, until the other side frees them
        self.leaves: dict[int, str] = {}  # numbers of handed-out leaves, by identity
        self.got: dict[str, weakref.ref] = {}  # leaves and Bridges that came in
        self.weights: dict[str, list] = {}  # weight, and its data and gradient when last equal
        self.freed: list[str] = []  # what came in and is no longer needed
        self.lent: dict[int, Tensor] = {}  # weights of copies that the other side asked for
        self.cutting = False  # a part is differentiated: Bridges lead nowhere
        self.count = 0

    def pack(self, x: Tensor, raw: bytearray) -> list:
        """A tensor that requires a gradient, or a weight."""
        weight = isinstance(x, nn.Parameter)
        if number := self._far(x):
            return [number]
        if weight and id(x) in self.leaves:
            return [self.leaves[id(x)]]
        self.count += 1
        number = f"{self.name}-tensor{self.count}"
        self.own[number] = x
        if x.is_leaf:
            self.leaves[id(x)] = number
        if weight:
            self.weights[number] = [x, x.detach().clone(), None]
        return [number, pack_tensor(x, raw), self._inputs(x), weight, x.requires_grad]

    def unpack(self, node: list, raw: bytes) -> Tensor:
        """The tensor here that stands for the one there, or is it."""
        number, *new = node
        if not new:
            return self._known(number)
        data, far, weight, requires_grad = new
        if number.startswith(f"{self.name}-"):
            raise Refused("it named a tensor as one of the other side")
        x = unpack_tensor(data, raw)
        if weight:
            x = nn.Parameter(x, requires_grad=requires_grad)
            self.weights[number] = [x, x.detach().clone(), None]
            setattr(x, FAR, number)
            return x
        near = {name: self._known(name, None) for name in far}
        near = {name: t for name, t in near.items() if t is not None and t.requires_grad}
        if near:
            with torch.enable_grad():
                x = Bridge.apply(self, number, list(near), x, *near.values())
        else:
            setattr(x.requires_grad_(), FAR, number)
        self.got[number] = weakref.ref(x.grad_fn or x, lambda _: self._free(number))
        return x

    def pull(self, number: str, grad: Tensor, far: list[str]) -> list[Tensor | None]:
        """Gradients in what the other side computed a tensor from."""
        if self.cutting:
            return [None] * len(far)
        return self.link.ask("pull", None, number, grad, far, torch.is_grad_enabled())

    def pulled(self, number: str, grad: Tensor, wanted: list[str], again: bool) -> list:
        """The same, computed here for the other side."""
        inputs = [self._edge(name) for name in wanted]
        with self._cut(True):
            found = torch.autograd.grad(
                self.own[number],
                inputs,
                grad,
                retain_graph=True,
                create_graph=again,
                allow_unused=True,
            )
        return list(found)

    def whole(self) -> AbstractContextManager:
        """Slopes lead through the other side, also while a part is differentiated."""
        return self._cut(False)

    @contextmanager
    def _cut(self, cutting: bool) -> Iterator[None]:
        before, self.cutting = self.cutting, cutting
        try:
            yield
        finally:
            self.cutting = before

    def changes(self, raw: bytearray) -> tuple[list, list[str]]:
        """Weights and gradients that are not as the other side has them, and what is freed."""
        changed = []
        for number, kept in self.weights.items():
            x, data, grad = kept
            new = None if torch.equal(x.detach(), data) else x.detach()
            same = x.grad is grad if grad is None else x.grad is not None and _equal(x.grad, grad)
            if new is None and same:
                continue
            kept[1:] = x.detach().clone(), None if x.grad is None else x.grad.detach().clone()
            packed = [None if t is None else pack_tensor(t, raw) for t in (new, x.grad)]
            changed.append([number, *packed])
        freed, self.freed = self.freed, []
        return changed, freed

    def lend(self, copied: object) -> object:
        """A copy for the other side, which may change its weights."""
        if isinstance(copied, nn.Module):
            self.lent |= {id(weight): weight for weight in copied.parameters()}
        return copied

    def update(self, message: dict, raw: bytes, writes: bool) -> None:
        """Take over the other side's changes; of weights that are mine only if it ``writes``."""
        for number, data, grad in message.get("sync", ()):
            kept = self.weights[number]
            x = kept[0]
            mine = number.startswith(f"{self.name}-")
            if data is not None and (writes or not mine or id(x) in self.lent):
                with torch.no_grad():
                    x.copy_(unpack_tensor(data, raw).reshape(x.shape))
            x.grad = None if grad is None else unpack_tensor(grad, raw).reshape(x.shape)
            kept[1:] = x.detach().clone(), None if grad is None else x.grad.clone()
        for number in message.get("free", ()):
            gone = self.own.pop(number, None)
            if gone is not None and self.leaves.get(id(gone)) == number:
                del self.leaves[id(gone)]

    def _free(self, number: str) -> None:
        self.freed.append(number)
        self.got.pop(number, None)

    def _far(self, x: Tensor) -> str | None:
        """The number of a tensor that came in."""
        node = x.grad_fn
        if node is not None:
            return getattr(node, "number", None) if getattr(node, "shared", 0) is self else None
        return vars(x).get(FAR)

    def _inputs(self, x: Tensor) -> list[str]:
        """What the other side knows of that a tensor was computed from, step by step back."""
        found, seen, todo = [], set(), [x.grad_fn] if x.grad_fn is not None else []
        while todo:
            node = todo.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if getattr(node, "shared", None) is self:
                found.append(node.number)
            elif hasattr(node, "variable"):
                leaf = node.variable
                if number := self.leaves.get(id(leaf)) or vars(leaf).get(FAR):
                    found.append(number)
            else:
                todo += [before for before, _ in node.next_functions]
        return found

    def _known(self, number: str, *default: None) -> Tensor | None:
        if number in self.own:
            return self.own[number]
        if number in self.weights:
            return self.weights[number][0]
        thing = self.got[number]() if number in self.got else None
        if isinstance(thing, Tensor):
            return thing
        if default:
            return None
        raise Refused(f"no tensor is known as {number}")

    def _edge(self, number: str) -> Tensor | GradientEdge:
        thing = self.got[number]() if number in self.got else None
        if thing is None or isinstance(thing, Tensor):
            return self._known(number)
        return GradientEdge(thing, 0)


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b)
