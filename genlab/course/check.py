"""The three answers of an exercise: right, not yet (because …), not attempted."""

import traceback
from types import TracebackType


class check:  # noqa: N801 - used as a statement: with check("1.2"):
    """Run the checks of one exercise and print what came of them.

    A stub that raises ``NotImplementedError`` is "not attempted"; a broken law or assertion, or
    any other error, is "not yet, because …"; otherwise the exercise is "right". Nothing is
    raised, so a notebook runs on; :meth:`require` raises for graders.

    Example:
        >>> with check("1.0") as answer:
        ...     assert 1 + 1 == 3, "one and one should make three here"
        1.0 not yet, because one and one should make three here
        >>> answer.right
        False
    """

    def __init__(self, exercise: str):
        self.exercise = exercise
        self.right = False

    def __enter__(self) -> "check":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType
    ) -> bool:
        if error is not None and not isinstance(error, Exception):
            return False  # an interrupt stays one
        self.right = error is None
        print(f"{self.exercise} {'right' if self.right else _because(error, trace)}")
        return True

    def require(self) -> None:
        """Raise AssertionError unless the visible checks said "right" (for hidden tests)."""
        if not self.right:
            raise AssertionError(f"Exercise {self.exercise}: the visible checks did not pass.")


def _because(error: Exception, trace: TracebackType) -> str:
    if isinstance(error, NotImplementedError) and not error.args:
        return "not attempted"
    if isinstance(error, AssertionError):
        reason = str(error) or f"this failed: {traceback.extract_tb(trace)[-1].line}"
    else:
        reason = f"it stopped with {type(error).__name__}: {error}"
    return f"not yet, because {reason}"
