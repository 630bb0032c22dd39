from itertools import product

import pytest

from intake.routes import Routes
from intake.slugs import MIN_CLIENTS, MIN_WORDS, Slugs, is_slug


def words(count):
    return [f"team-{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(count)]


def learn(slugs, prefix="/teams", many=MIN_WORDS, clients=MIN_CLIENTS):
    learned = [slugs.note(prefix, word, f"u-{n % clients}") for n, word in enumerate(words(many))]
    return learned.count(True)


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ("acme-corp", True), ("my_first_post", True), ("annual-report-2026", True),
        ("settings", False), ("app.min.js", False), ("-", False), ("a-", False), ("a--b", False),
        ("a-" * 500_000, False), ("a" * 1_000_000, False), ("", False),
    ],
)  # fmt: skip
def test_what_looks_like_a_name(segment, expected):
    assert is_slug(segment) is expected


def test_many_words_of_many_clients_make_a_place():
    slugs = Slugs()
    assert learn(slugs) == 1
    assert slugs.is_known("/teams", "never-seen")
    assert not slugs.is_known("/teams", "settings")
    assert not slugs.is_known("/users", "never-seen")


@pytest.mark.parametrize(
    ("many", "clients"), [(MIN_WORDS - 1, MIN_CLIENTS), (MIN_WORDS, MIN_CLIENTS - 1), (5000, 1)]
)
def test_too_few_make_none(many, clients):
    slugs = Slugs()
    assert learn(slugs, many=many, clients=clients) == 0
    assert not slugs.is_known("/teams", "never-seen")


def test_dump_and_load_at_any_point_change_nothing():
    for cut in range(0, MIN_WORDS, 7):
        slugs = Slugs()
        for n, word in enumerate(words(cut)):
            slugs.note("/teams", word, f"u-{n}")
        again = Slugs()
        again.load(iter(list(slugs.take_dirty())))
        for n, word in enumerate(words(MIN_WORDS)):
            again.note("/teams", word, f"u-{n}")
        assert again.is_known("/teams", "never-seen")


def test_places_are_bounded():
    slugs = Slugs()
    learn(slugs, "/kept")
    for a, b in product(range(60), range(60)):
        slugs.note(f"/{a}/{b}", "made-up", "u-1")
    assert len(slugs._places) <= 1_000
    assert slugs.is_known("/kept", "never-seen")


def test_a_learned_place_is_one_route():
    routes = Routes([], [])
    before = routes.place("/api/teams/acme-corp/members/7")
    assert before.route.template == "/api/teams/acme-corp/members/{owner}"
    assert before.slug == ("/api/teams", "acme-corp")
    for n, word in enumerate(words(MIN_WORDS)):
        place = routes.place(f"/api/teams/{word}/members/{n}")
        assert place.slug is not None
        routes.note_name(place.slug, f"u-{n}")
    after = routes.place("/api/teams/acme-corp/members/7")
    assert after.route.template == "/api/teams/{slug}/members/{owner}"
    assert (after.owners, after.object, after.slug) == (("7",), "", None)
    assert routes.place("/api/teams/acme-corp").route.template == "/api/teams/{slug}"
