"""Which of several builders take part: those that answer. One that is silent costs its own work and no other's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from saltern.contract.errors import SalternError
from saltern.images.builders import NoAnswer

T = TypeVar("T")


class Roll:
    """The builders of one call.

    places
        Their names.
    """

    def __init__(self, places: Iterable[str]) -> None:
        self.present = list(places)
        self._away: dict[str, SalternError] = {}

    def ask(self, question: Callable[[str], T], *, forgiven: type[SalternError] = SalternError) -> dict[str, T]:
        """Ask all that are present; one that fails is asked no more.

        question
            Called with a place.
        forgiven
            Errors that only mean that this place takes no part; any other is raised.

        Returns place → answer. Raises the error of the only builder, NoAnswer when several are silent and nobody is
        left, else the first of their errors.
        """
        answers: dict[str, T] = {}
        for place in self.present:
            try:
                answers[place] = question(place)
            except forgiven as error:
                self._away[place] = error
        self.present = list(answers)
        if not answers:
            raise self._nobody()
        return answers

    def away(self) -> list[dict[str, str]]:
        """Who takes no part, and why: ``{"builder", "error", "hint"}``."""
        return [
            {"builder": place, "error": error.message.removeprefix(f"{place}: "), "hint": error.hint}
            for place, error in self._away.items()
        ]

    def _nobody(self) -> SalternError:
        errors = list(self._away.values())
        if len(errors) > 1 and all(isinstance(error, NoAnswer) for error in errors):
            named = ", ".join(self._away)
            return NoAnswer(
                f"none of the builders answers: {named}", hint=f"Look: salt -L {','.join(self._away)} test.ping"
            )
        return errors[0]
