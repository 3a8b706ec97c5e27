"""Builders that do not answer take no part, and only when nobody is left is that an error."""

import pytest

from saltern.contract.errors import SalternError
from saltern.images.builders import NoAnswer
from saltern.images.roll import Roll


def failing(**errors: SalternError) -> Roll:
    roll = Roll(["b1", "b2", "b3"])

    def question(place: str) -> str:
        if place in errors:
            raise errors[place]
        return place.upper()

    assert roll.ask(question) == {place: place.upper() for place in ("b1", "b2", "b3") if place not in errors}
    return roll


def test_who_fails_is_asked_no_more() -> None:
    roll = failing(b2=NoAnswer("b2 does not answer", hint="Look"), b3=SalternError("b3: no engine"))
    assert roll.present == ["b1"]
    assert roll.away() == [
        {"builder": "b2", "error": "b2 does not answer", "hint": "Look"},
        {"builder": "b3", "error": "no engine", "hint": ""},
    ]
    assert roll.ask(len) == {"b1": 2}


def test_nobody_is_left() -> None:
    silent = {place: NoAnswer(f"{place} does not answer") for place in ("b1", "b2", "b3")}
    with pytest.raises(NoAnswer, match="none of the builders answers: b1, b2, b3"):
        failing(**silent)
    broken = SalternError("no engine")
    with pytest.raises(SalternError, match="no engine"):
        failing(**{**silent, "b1": broken})
    with pytest.raises(NoAnswer, match="b1 does not answer"):
        Roll(["b1"]).ask(lambda place: (_ for _ in ()).throw(silent[place]))


def test_a_mistake_is_no_silence() -> None:
    def question(place: str) -> str:
        raise SalternError("no Python project", where=place)

    with pytest.raises(SalternError, match="no Python project"):
        Roll(["b1", "b2"]).ask(question, forgiven=NoAnswer)
