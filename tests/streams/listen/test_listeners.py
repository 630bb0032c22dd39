import asyncio
import threading

import pytest

from streams.listen.listeners import Listeners


class Ear:
    """A listener that remembers what it was told, and in which thread."""

    def __init__(self, name, fault=None, at_end=None):
        self.says = name
        self.fault = fault
        self.at_end = at_end
        self.told = []

    async def start(self):
        if self.fault:
            raise self.fault
        self.told.append(("start", threading.current_thread().name))

    async def stop(self):
        self.told.append(("stop", threading.current_thread().name))
        if self.at_end:
            raise self.at_end


def test_all_listen_in_a_thread_of_their_own_until_they_are_closed():
    ears = [Ear("one"), Ear("two")]
    listeners = Listeners(ears)
    listeners.start()
    assert [ear.told for ear in ears] == [[("start", "listeners")]] * 2
    assert listeners.says == ["one", "two"]
    listeners.stop_accepting()
    listeners.close()
    listeners.close()
    assert [ear.told[1:] for ear in ears] == [[("stop", "listeners")]] * 2
    assert "listeners" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("fault", [OSError("port 1 is in use"), ValueError("no such file")])
def test_if_one_cannot_listen_none_does(fault):
    first, third = Ear("one"), Ear("three")
    listeners = Listeners([first, Ear("two", fault), third])
    with pytest.raises(ValueError, match=str(fault)):
        listeners.start()
    assert ([word for word, _ in first.told], third.told) == (["start", "stop"], [])
    assert "listeners" not in {thread.name for thread in threading.enumerate()}


def test_a_fault_at_the_end_of_one_does_not_keep_another_open(caplog):
    bad, good = Ear("bad", at_end=RuntimeError("secret")), Ear("good")
    listeners = Listeners([bad, good])
    listeners.start()
    listeners.close()
    assert [word for word, _ in good.told] == ["start", "stop"]
    assert (caplog.messages, "secret" in caplog.text) == (["ending bad: RuntimeError"], False)


def test_what_is_still_under_way_is_cut_off():
    class Busy(Ear):
        async def start(self):
            self.task = asyncio.ensure_future(asyncio.sleep(3600))

    busy = Busy("busy")
    listeners = Listeners([busy])
    listeners.start()
    listeners.close()
    assert busy.task.cancelled()
