from streams.listen.inbox import Inbox, Parcel
from streams.listen.meter import measured


def shown(inbox):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in measured(inbox)
        for sample in metric.samples
    }


def test_what_became_of_lines_and_requests():
    inbox = Inbox(100)
    parcel = Parcel("00000000000000aa", "a.log", [b"x"])
    inbox.offer("syslog", [parcel])
    inbox.offer("syslog", [parcel, parcel])
    inbox.count("unauthorized", "http")
    assert shown(inbox) == {
        ("breachline_listen_lines_total", "syslog", "received"): 1,
        ("breachline_listen_lines_total", "syslog", "dropped"): 2,
        ("breachline_listen_requests_total", "http", "unauthorized"): 1,
        ("breachline_listen_waiting_bytes",): parcel.size_bytes,
    }
    inbox.settle(inbox.take(1))
    assert shown(inbox)["breachline_listen_waiting_bytes",] == 0


def test_an_idle_inbox_says_that_nothing_waits():
    assert shown(Inbox(100)) == {("breachline_listen_waiting_bytes",): 0}
