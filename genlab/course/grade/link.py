"""Two processes that call each other, on a stage where one of them cannot be trusted.

The check holds far functions in place of the student's; the student's functions get far ones in
place of what the check hands them (a density, a network, an optimizer). A call waits for its
answer, and serves the calls that come meanwhile. Only what was handed out can be named.
"""

import builtins
import copy
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from genlab.course.grade.channel import Channel, Refused, Stopped
from genlab.course.grade.far import number_of
from genlab.course.grade.things import Things, public

# An error of these kinds would end a loop of the check instead of failing it.
_SILENT = (StopIteration, StopAsyncIteration)


class Link:
    """One end.

    Args:
        channel: the pipes to the other end.
        name: ``"grader"`` or ``"student"``; what it hands out is numbered after it. A student may
            neither change the grader's objects nor see what is private in them.
    """

    def __init__(self, channel: Channel, name: str):
        self.channel, self.name = channel, name
        self.grades = name == "grader"
        self.writes = True  # what the other side changes in place is changed here
        self.loader: Callable | None = None  # what "load" does, at the student's end
        self.stopped: Stopped | None = None
        self.forget()

    def forget(self, wanted: tuple[type, ...] = ()) -> None:
        """Nothing is handed out any more: a new exercise begins, which asks for these classes."""
        self.things = Things(self, self.name, None if self.grades else wanted)
        self._before: list[tuple[Tensor, Tensor]] = []  # what calls with an answer changed

    def ask(self, do: str, thing: object, *args: object) -> object:
        """Let the other side do something with one of its things; return what comes of it."""
        if self.stopped:
            raise Stopped(*self.stopped.args)
        sent: list = []
        try:
            self._send({"do": do, "on": number_of(thing)}, "args", list(args), sent)
            while True:
                message, raw = self.channel.receive()
                if type(message) is not dict:
                    raise Refused("it sent no message")
                if "do" in message:
                    self._serve(message, raw)
                else:
                    value, error = self._answer(message, raw, sent, do == "call")
                    break
        except Refused as error:
            if not self.grades:
                raise TypeError(str(error)) from None
            self.stopped = Stopped(str(error))
        except Stopped as error:
            self.stopped = error
        if self.stopped:
            raise Stopped(*self.stopped.args)
        if error:
            raise error
        return value

    def write_no_more(self) -> None:
        """From now on arguments are copies, and those that a call changed are as they were."""
        self.writes = False
        while self._before:
            _write(*self._before.pop())

    def serve(self) -> None:
        """Serve until the other side is gone (the student's end)."""
        while True:
            self._serve(*self.channel.receive())

    def _send(self, message: dict, key: str, value: object, sent: list, wrote: list = ()) -> None:
        raw, things = bytearray(), self.things
        message[key] = things.pack(value, raw, sent)
        message["wrote"] = [[i, things.pack(thing, raw, [])] for i, thing in wrote]
        message["sync"], message["free"] = things.shared.changes(raw)
        self.channel.send(message, raw)

    def _answer(
        self, message: dict, raw: bytes, sent: list, called: bool
    ) -> tuple[object, Exception | None]:
        """The value or the error; what else changed on the other side is taken over."""
        try:
            value = self.things.unpack(message.get("value"), raw, [])
            # What is called for its effect, and returns nothing, may change what it is given.
            effect = called and value is None and "error" not in message
            self.things.shared.update(message, raw, self.writes or effect)
            for place, node in message.get("wrote", ()):
                if self.grades and not effect and isinstance(thing := sent[place], Tensor):
                    if not self.writes:
                        continue
                    self._before.append((thing, thing.clone()))
                _write(sent[place], self.things.unpack(node, raw, []))
            return value, _error(*message["error"]) if "error" in message else None
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise Refused(f"it sent a broken answer: {error}") from None

    def _serve(self, message: dict, raw: bytes) -> None:
        got: list = []
        try:
            args = self.things.unpack(message["args"], raw, got)
            self.things.shared.update(message, raw, self.writes)
            before = [_state(thing) for thing in got]
            thing = None if message["on"] is None else self.things.mine(message["on"])
            value = self._done(message["do"], thing, args)
            changed = [
                (i, new)
                for i, (new, old) in enumerate(zip(got, before, strict=True))
                if not torch.equal(_state(new), old)
            ]
            self._send({}, "value", value, [], changed)
        except Stopped:
            raise
        except BaseException as error:
            if self.grades and not isinstance(error, Exception):
                raise
            self._send({"error": _said(error)}, "value", None, [])

    def _done(self, do: str, thing: object, args: list) -> object:
        match do, args:
            case "pull", [number, grad, wanted, again]:
                return self.things.shared.pulled(number, grad, wanted, again)
            case "load", _ if self.loader:
                return self.loader(*args)
        if thing is None:
            raise Refused("nothing that was handed out is named")
        match do, args:
            case "call", [positional, named, grad]:
                if "out" in named and self.grades:  # torch would write there
                    raise Refused("nothing of the check can be written to")
                with torch.set_grad_enabled(grad):
                    return thing(*positional, **named)
            case "get", [name]:
                return self.things.attribute(thing, name)
            case "set", [name, value] if not self.grades:
                return setattr(thing, public(name), value)
            case "copy", []:
                return self.things.shared.lend(copy.deepcopy(thing))
            case "len", []:
                return len(thing)
            case "item", [key]:
                return thing[key]
            case "list", []:
                return list(thing)
        raise Refused(f"nobody can {do} here")


def _state(thing: Tensor | Generator) -> Tensor:
    """What tells whether it has changed: a version, or a state."""
    return torch.tensor(thing._version) if isinstance(thing, Tensor) else thing.get_state()


def _write(thing: Tensor | Generator, new: object) -> None:
    if isinstance(thing, Generator) and isinstance(new, Generator):
        thing.set_state(new.get_state())
    elif isinstance(thing, Tensor) and isinstance(new, Tensor) and thing.shape == new.shape:
        with torch.no_grad():
            thing.copy_(new)


def _said(error: BaseException) -> list[str]:
    kind = "TypeError" if isinstance(error, Refused) else type(error).__name__
    try:
        return [kind[:100], str(error)[:2000]]
    except BaseException:
        return ["Exception", "an error that does not say what it is"]


def _error(name: str, text: str) -> Exception:
    """The error that the other side met; one of Python's own kinds, or a RuntimeError."""
    kind = getattr(builtins, str(name), None)
    known = isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _SILENT)
    if not known or issubclass(kind, UnicodeError | BaseExceptionGroup):
        return RuntimeError(f"{name}: {text}")
    return kind(text) if text else kind()
