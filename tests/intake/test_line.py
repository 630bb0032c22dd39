from intake.line import Parsed, Unreadable


def test_a_verdict_on_a_line_says_its_reason():
    why = Unreadable("no_time")
    assert (why.reason, str(why)) == ("no_time", "no_time")


def test_what_a_line_does_not_say_is_none():
    line = Parsed(0, "192.0.2.1", "GET", "/", 200)
    assert (line.bytes, line.principal, line.claimed, line.owners) == (-1, None, None, ())
