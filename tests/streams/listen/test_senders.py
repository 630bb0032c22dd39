import pytest

from streams.listen._senders import MAX_SOURCES, Senders


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (b"<134>1 2026-11-22T10:00:00Z web-1 nginx 12 - - x", "syslog web-1/nginx"),
        (b"<134>1 - - - - - - x", "syslog -/-"),
        (b"<134>Nov 22 10:00:00 web-1 nginx: x", "syslog web-1/nginx"),
        (b"<134>Nov  2 10:00:00 web-1 haproxy[12]: x", "syslog web-1/haproxy"),
        (b"<134>2026-11-22T10:00:00+01:00 web-1 nginx: x", "syslog web-1/nginx"),
        (b"203.0.113.7 - - [22/Nov/2026:10:00:00 +0000]", "syslog"),
        (b"", "syslog"),
        (b"\xff\xfe", "syslog"),
    ],
)
def test_a_header_names_the_source(message, name):
    assert Senders("syslog").source(message)[1] == name


def test_ids_are_the_same_after_a_restart_and_differ_by_source():
    one, two = (b"<1>1 - web-%d nginx - - - x" % n for n in (1, 2))
    assert Senders("syslog").source(one) == Senders("syslog").source(one)
    assert len({Senders("syslog").source(m)[0] for m in (one, two)}) == 2
    assert Senders("tcp").source(one)[0] != Senders("udp").source(one)[0]


def test_what_a_sender_makes_up_is_bounded():
    senders = Senders("syslog")
    names = {senders.source(b"<1>1 - h%d a - - - x" % n)[1] for n in range(2 * MAX_SOURCES)}
    assert len(names) <= MAX_SOURCES + 1
    assert senders.source(b"<1>1 - h0 a - - - x")[1] == "syslog h0/a"
