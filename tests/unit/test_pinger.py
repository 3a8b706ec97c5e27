"""What counts as a gap of the rig's ping."""

import threading
from types import SimpleNamespace

import pytest
from rig.pinger import PERIOD, Pinger


@pytest.mark.parametrize(("lost", "gap"), [([], 0.0), ([3], PERIOD), ([3, 4, 5, 9], 3 * PERIOD), ([1], 0.0)])
def test_only_pings_that_were_never_answered_count(lost: list[int], gap: float) -> None:
    ping = Pinger(SimpleNamespace(name="ctl1"), "192.0.2.1")
    ping._mark = 2
    ping.answers = {number: 0.0 for number in range(1, 20) if number not in lost}
    later = threading.Timer(0.1, lambda: ping.answers.update({20: 0.0}))
    later.start()
    assert ping.gap() == pytest.approx(gap)
    later.join()


def test_a_silence_that_goes_on_is_an_error() -> None:
    ping = Pinger(SimpleNamespace(name="ctl1"), "192.0.2.1", patience=0.1)
    ping.answers = {1: 0.0}
    with pytest.raises(TimeoutError, match=r"192\.0\.2\.1 does not answer a ping from ctl1"):
        ping.gap()
