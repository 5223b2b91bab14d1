"""``torch.func``'s transforms (grad, vmap, jacrev, …) of a function of the other process.

What they put in place of a tensor cannot be sent. So the call becomes one operation, which they
take apart: a batch is called example by example, and a slope is asked for at plain tensors.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten


def transforming() -> bool:
    """Whether a transform is under way, in which no tensor is what it seems."""
    # Torch has no public question for it. Tried with 2.15.
    return torch._C._functorch.peek_interpreter_stack() is not None


def taken_apart(
    function: Callable, args: tuple, kwargs: dict, weights: Iterable[Tensor], whole: Callable
) -> Any:
    """``function(*args, **kwargs)`` inside transforms.

    Args:
        function: a far one, with its arguments.
        weights: what it depends on besides.
        whole: a context in which slopes lead through the other process.
    """
    leaves, structure = tree_flatten((args, kwargs))
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    form = []

    def flat(*tensors: Tensor) -> list[Tensor]:
        here = dict(zip(places, tensors, strict=True))
        args, kwargs = tree_unflatten([here.get(i, x) for i, x in enumerate(leaves)], structure)
        found, shape = tree_flatten(function(*args, **kwargs))
        form[:] = [shape]
        return found

    call = _Call(flat, list(weights), whole)
    found = _Apart.apply(call, *(leaves[i] for i in places), *call.weights)
    return tree_unflatten(list(found), form[0])


class _Call:
    """A function of tensors, to a list of tensors; of its weights there is no copy."""

    def __init__(self, function: Callable, weights: list[Tensor], whole: Callable):
        self.function, self.weights, self.whole = function, weights, whole

    def pulled(self, *tensors: Tensor) -> list[Tensor]:
        """Gradients in what it is called with and in its weights, of the last tensors' product."""
        again, count = torch.is_grad_enabled(), len(tensors) - self.outputs
        with torch.enable_grad(), self.whole():
            at = [
                x.detach().requires_grad_() if x.is_floating_point() and not x.requires_grad else x
                for x in tensors[:count]
            ]
            found = zip(self.function(*at), tensors[count:], strict=True)
            slopes = [torch.zeros_like(x) for x in (*at, *self.weights)]
            inputs = {i: x for i, x in enumerate((*at, *self.weights)) if x.requires_grad}
            depend = [(y, grad) for y, grad in found if y.requires_grad]
            if depend:
                ys, grads = zip(*depend, strict=True)
                pulled = torch.autograd.grad(
                    ys, [*inputs.values()], grads, create_graph=again, allow_unused=True
                )
                for i, slope in zip(inputs, pulled, strict=True):
                    slopes[i] = slopes[i] if slope is None else slope
        return slopes


class _Apart(torch.autograd.Function):
    """A call as one operation."""

    @staticmethod
    def forward(call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            found = call.function(*tensors[: len(tensors) - len(call.weights)])
        call.outputs = len(found)
        return tuple(found)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.call = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple:
        call = ctx.call
        tensors = ctx.saved_tensors[: len(ctx.saved_tensors) - len(call.weights)]
        pull = _Call(call.pulled, call.weights, call.whole)
        return None, *_Apart.apply(pull, *tensors, *grads, *call.weights)

    @staticmethod
    def vmap(info: Any, dims: tuple, call: _Call, *tensors: Tensor) -> tuple:
        each = [
            _Apart.apply(
                call,
                *(
                    x if d is None else x.select(d, i)
                    for x, d in zip(tensors, dims[1:], strict=True)
                ),
            )
            for i in range(info.batch_size)
        ]
        found = tuple(torch.stack(column) for column in zip(*each, strict=True))
        return found, (0,) * len(found)
