"""Those who wait do so for longer each time, and hold up nobody else."""

from segdrop.service.delays import FIRST_SECONDS, Delays, seconds_after


def test_each_failure_doubles_the_wait_up_to_a_limit() -> None:
    waits = [seconds_after(failures) for failures in range(1, 30)]
    assert waits[:3] == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS]
    assert waits[-1] == waits[-2] == 600.0


def test_name_waits_alone_and_until_its_time() -> None:
    delays = Delays()
    delays.put_off("a", 100.0, "busy")
    assert not delays.is_due("a", 104.0)
    assert delays.is_due("b", 104.0)
    assert delays.next_due(104.0) == 1.0
    assert delays.is_due("a", 105.0)
    assert delays.next_due(105.0) is None


def test_reason_is_new_once() -> None:
    delays = Delays()
    assert delays.put_off("a", 0.0, "busy")
    assert not delays.put_off("a", 5.0, "busy")
    assert delays.put_off("a", 15.0, "denied")
    assert delays.reason("a") == "denied"


def test_who_got_on_begins_anew() -> None:
    delays = Delays()
    for _ in range(5):
        delays.put_off("a", 0.0, "busy")
    delays.forget("a")
    delays.put_off("a", 0.0, "busy")
    assert delays.is_due("a", FIRST_SECONDS)


def test_those_who_are_gone_are_forgotten() -> None:
    delays = Delays()
    delays.put_off("a", 0.0, "busy")
    delays.put_off("b", 0.0, "busy")
    delays.keep_only({"b"})
    assert (delays.reason("a"), delays.reason("b")) == ("", "busy")
