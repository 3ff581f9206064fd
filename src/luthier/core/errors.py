"""What a person reads when something of theirs is wrong: where it is, what the problem is, what to do about it."""

from __future__ import annotations

MAX_SHOWN = 20


class LuthierError(Exception):
    """A problem that the user can mend; printed without a traceback, and the command exits with 2.

    Args:
        where: a place that can be opened, such as `train.csv:17` or `recipe.toml [method] rank`.
        problem: what is wrong there, without a full stop.
        fix: what to do next, without a full stop.

    """

    def __init__(self, where: str, problem: str, fix: str) -> None:
        super().__init__(where, problem, fix)
        self.where = where
        self.problem = problem
        self.fix = fix

    @property
    def errors(self) -> tuple[LuthierError, ...]:
        """Every problem that this error stands for: here, itself."""
        return (self,)

    def __str__(self) -> str:
        return f"{self.where}: {_sentence(self.problem)} {_sentence(self.fix)}"

    def as_dict(self) -> dict[str, str]:
        """The three fields of the error as `--json` prints them."""
        return {"where": self.where, "problem": self.problem, "fix": self.fix}


class LuthierErrors(LuthierError):
    """Several problems found in one pass, so that nobody has to mend them one run at a time."""

    def __init__(self, errors: tuple[LuthierError, ...], n_found: int | None = None) -> None:
        first = errors[0]
        super().__init__(first.where, first.problem, first.fix)
        self._errors = errors
        self.n_found = len(errors) if n_found is None else n_found

    @property
    def errors(self) -> tuple[LuthierError, ...]:
        """The problems in the order they were found."""
        return self._errors

    def __reduce__(self) -> tuple[type[LuthierErrors], tuple[tuple[LuthierError, ...], int]]:
        """How it goes from one process to another: with all its problems."""
        return LuthierErrors, (self._errors, self.n_found)

    def __str__(self) -> str:
        lines = [str(error) for error in self._errors]
        if self.n_found > len(lines):
            lines.append(f"… and {self.n_found - len(lines):,} more like these.")
        return "\n".join(lines)


class Complaints:
    """Collects problems while work that can go on goes on; the first `MAX_SHOWN` are kept, all are counted."""

    def __init__(self) -> None:
        self._errors: list[LuthierError] = []
        self._n_found = 0

    def add(self, where: str, problem: str, fix: str) -> None:
        """Note one problem."""
        self.extend(LuthierError(where, problem, fix))

    def extend(self, error: LuthierError) -> None:
        """Note every problem that `error` stands for."""
        for one in error.errors:
            self._n_found += 1
            if len(self._errors) < MAX_SHOWN:
                self._errors.append(one)

    def __len__(self) -> int:
        return self._n_found

    def raise_if_any(self) -> None:
        """Raise what was collected, if anything was."""
        if len(self._errors) == 1 and self._n_found == 1:
            raise self._errors[0]
        if self._errors:
            raise LuthierErrors(tuple(self._errors), self._n_found)


def _sentence(text: str) -> str:
    """`text` as a sentence: ended by exactly one mark."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else text + "."
