from incidents.clocks import clocks


def test_the_authority_has_72_hours():
    assert clocks(1_795_000_000_123) == {
        "awareness": "2026-11-18T11:06:40.123Z",
        "authority_deadline": "2026-11-21T11:06:40.123Z",
    }
