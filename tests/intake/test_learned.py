import pytest

from intake import learned
from intake.learned import Learned
from intake.routes import Routes
from tests.intake._lines import Court, get

NOTES, CARDS = "/api/v1/notes/{object}/**", "/card?number={object}"


class Log:
    """Lines of one log, and who was learned to own what."""

    def __init__(self, *routes):
        self.routes = Routes([], [], routes)
        self.learned = Learned(routes)

    def say(self, method, target, user, status=201, outcome="proven", **fields):
        line = get(target, user, method=method, status=status, **fields)
        place = self.routes.place(target)
        self.learned.created(line, method, place, user, outcome)
        if outcome == "proven":
            self.learned.deleted(method, place, user)

    def owner(self, item, route=NOTES):
        return self.learned.owner(route, item)


MADE = "/api/v1/notes/7"
CASES = [
    # name, what u-1 does, then who owns note 7
    ("PUT", ("PUT", MADE), "u-1"),
    ("POST to the object", ("POST", MADE), "u-1"),
    ("odd spelling", ("PUT", "/api/v1//notes/%37;v=1"), "u-1"),
    ("one of many", ("PUT", "/api/v1/notes/7,8"), "u-1"),
    ("changed", ("PUT", MADE, "u-1", 200), ""),
    ("no content", ("PUT", MADE, "u-1", 204), ""),
    ("read", ("GET", MADE), ""),
    ("refused", ("PUT", MADE, "u-1", 201, "denied"), ""),
    ("a part of it", ("POST", f"{MADE}/comments"), ""),
    ("another kind", ("PUT", "/api/v1/lists/7"), ""),
]


@pytest.mark.parametrize(("name", "said", "expected"), CASES, ids=[c[0] for c in CASES])
def test_who_makes_it_owns_it(name, said, expected):
    log = Log(NOTES)
    method, target, *rest = said
    user, *rest = rest or ["u-1"]
    log.say(method, target, user, *rest)
    assert log.owner("7") == expected, name


LOCATIONS = [
    # name, target, location, whether it names note 7
    ("path", "/api/v1/notes", "/api/v1/notes/7", True),
    ("slash", "/api/v1/notes/", "/api/v1/notes/7", True),
    ("absolute", "/api/v1/notes", "https://api.example/api/v1/notes/7?x=1#y", True),
    ("relative", "/api/v1/notes", "notes/7", True),
    ("relative to a folder", "/api/v1/notes/", "7", True),
    ("odd spelling", "/api/v1/notes", "/api/v1/notes/%37", True),
    ("none", "/api/v1/notes", None, False),
    ("elsewhere", "/api/v1/notes", "/api/v1/lists/7", False),
    ("a part of it", "/api/v1/notes", "/api/v1/notes/7/comments/1", False),
    ("several", "/api/v1/notes", "/api/v1/notes/7,8", False),
    ("not made here", "/api/v1/share", "/api/v1/notes/7", False),
    ("broken", "/api/v1/notes", "http://[/api/v1/notes/7", False),
    ("long", "/api/v1/notes", "/api/v1/notes/7?" + "x" * 3000, False),
]


@pytest.mark.parametrize(
    ("name", "target", "location", "named"), LOCATIONS, ids=[c[0] for c in LOCATIONS]
)
def test_a_location_names_what_was_made(name, target, location, named):
    log = Log(NOTES)
    log.say("POST", target, "u-1", location=location)
    assert log.owner("7") == ("u-1" if named else ""), name


def test_only_a_post_makes_something_elsewhere():
    log = Log(NOTES)
    log.say("PUT", "/api/v1/notes", "u-1", location="/api/v1/notes/7")
    assert log.owner("7") == ""


def test_an_object_in_the_query():
    log = Log(CARDS)
    log.say("PUT", "/card?number=5", "u-1")
    log.say("POST", "/card", "u-2", location="/card?number=6")
    assert [log.owner(item, CARDS) for item in ("5", "6")] == ["u-1", "u-2"]


def test_the_first_owns_it_until_they_delete_it():
    log = Log(NOTES)
    log.say("PUT", MADE, "u-1")
    log.say("PUT", MADE, "u-2")
    assert log.owner("7") == "u-1"
    log.say("DELETE", MADE, "u-2", 204)
    log.say("DELETE", MADE, "u-1", 403, "denied")
    log.say("DELETE", f"{MADE}/comments/1", "u-1", 204)
    assert log.owner("7") == "u-1"
    log.say("DELETE", MADE, "u-1", 204)
    assert log.owner("7") == ""
    log.say("PUT", MADE, "u-2")
    assert log.owner("7") == "u-2"


def test_it_is_bounded_and_restored_as_it_was(monkeypatch):
    monkeypatch.setattr(learned, "MOST", 3)
    log = Log(NOTES)
    kept: dict[str, bytes] = {}
    for n in range(5):
        log.say("PUT", f"/api/v1/notes/{n}", f"u-{n}")
        kept |= dict(log.learned.take_dirty())
    assert [log.owner(str(n)) for n in range(5)] == ["", "", "u-2", "u-3", "u-4"]
    assert {key: bool(value) for key, value in kept.items()} == {
        f"{NOTES}\n{n}": n > 1 for n in range(5)
    }
    again = Log(NOTES)
    assert not again.learned.has_learned(NOTES)
    again.learned.load(iter(sorted(kept.items())))
    assert again.learned.has_learned(NOTES)
    assert log.learned.has_learned(NOTES)
    for one in (log, again):
        one.say("PUT", "/api/v1/notes/9", "u-9")
        assert [one.owner(str(n)) for n in (2, 3, 4, 9)] == ["", "u-3", "u-4", "u-9"]
    assert not list(Log(NOTES).learned.take_dirty())


def test_names_without_end_are_not_kept():
    log = Log(NOTES)
    log.say("PUT", "/api/v1/notes/" + "9" * 300, "u-1")
    assert not list(log.learned.take_dirty())


CROWD = [f"u-{n}" for n in range(1, 40)]


def court(**more):
    return Court(crowd=CROWD, ownership=[{"route": "/notes/{object}", "learn": True}], **more)


def exposed(heard):
    return [(e.target, e.object, e.certainty, e.basis) for e in heard[2]]


def test_a_learned_owner_is_presumed():
    log = court()
    event, signal, none = log.hear(get("/notes/7", "u-17", method="PUT", status=201))
    assert (event.verdict, event.targets, signal, none) == ("own", ("u-17",), None, [])
    assert log.hear(get("/notes/7", "u-17"))[0].verdict == "own"
    event, signal, _ = heard = log.hear(get("/notes/7", "u-18"))
    assert (event.verdict, signal.targets, signal.certainty) == ("foreign", ("u-17",), "presumed")
    assert exposed(heard) == [("u-17", "7", "presumed", "ownership")]


def test_what_was_there_before_the_log_is_of_unknown_owner():
    event, signal, _ = heard = court().hear(get("/notes/7", "u-17"))
    assert (event.verdict, event.targets, signal) == ("undetermined", (), None)
    assert exposed(heard) == [("", "7", "proven", "")]


def test_nobody_learns_from_a_reader_or_from_who_is_nobody():
    log = court()
    for line in (
        get("/notes/7", "u-17"),
        get("/notes/7", None, method="PUT", status=201),
        get("/notes/7", None, method="PUT", status=201, claimed="u-17"),
    ):
        log.hear(line)
    assert log.event(get("/notes/7", "u-17")).verdict == "undetermined"


def test_a_judge_keeps_what_it_learned():
    one, other = court(), court()
    one.hear(get("/notes", "u-17", method="POST", status=201, location="/notes/7"))
    kept: dict[str, dict[str, bytes]] = {}
    for space, key, value in one.judge.take_dirty():
        kept.setdefault(space, {})[key] = value
    other.judge.load(lambda space: iter(kept.get(space, {}).items()))
    assert other.event(get("/notes/7", "u-18")).targets == ("u-17",)
