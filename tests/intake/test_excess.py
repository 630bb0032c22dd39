from intake import excess
from intake.excess import Excess
from intake.patterns import MAX_TARGETS
from intake.routes import Routes
from tests.intake._lines import AT, Court, get

MANY = ",".join(map(str, range(1, MAX_TARGETS + 8)))
WORDS = "7 ids of one request were too many, and not judged"


def test_more_ids_than_are_judged_are_counted_and_said():
    court = Court(crowd=[str(n) for n in range(100, 160)])
    few, _, _ = court.hear(get("/users/1,2", "17"))
    event, _, exposed = court.hear(get(f"/users/{MANY}", "17"))
    assert (len(event.targets), len(exposed)) == (
        MAX_TARGETS,
        MAX_TARGETS - ("17" in event.targets),
    )
    assert court.judge.excess.routes == {"/users/{owner}": 7}
    assert court.judge.excess.take_gaps([few, event]) == [(event.offset + 1, WORDS)]
    assert court.judge.excess.take_gaps([few, event]) == []


def test_objects_are_counted_too():
    court = Court(
        ownership=[{"route": "/cards/{object}", "http": "https://cards.example/{object}"}]
    )
    for target in (f"/cards/{MANY}", f"/orders/{MANY}", f"/find?user_id={MANY}"):
        court.hear(get(target, "17"))
    assert court.judge.excess.routes == {
        "/cards/{object}": 7, "/orders/{object}": 7, "/find?user_id={object}": 7,
    }  # fmt: skip


def test_routes_are_bounded(monkeypatch):
    monkeypatch.setattr(excess, "MOST_ROUTES", 1)
    counted, routes = Excess(), Routes([], [])
    for target in (f"/a/{MANY}", f"/b/{MANY}", f"/a/{MANY}"):
        counted.note(AT, routes.place(target))
    assert counted.routes == {"/a/{object}": 14}
