import asyncio

from streams.clock import HandClock
from streams.heads import Publisher, told
from streams.outward import opened
from streams.projection import Projection
from streams.sealing import open_signed
from streams.settings import Settings
from tests._events import NOON_MS, action

ELASTIC = {"hosts": ["http://127.0.0.1:9"]}


def settings(tmp_path, **given):
    return Settings.model_validate({"data_dir": tmp_path / "var", **given})


def made(configured):
    """The kinds of what is driven, and the names of the places that are told of heads."""

    async def run(store):
        async with opened(configured, {}, HandClock(NOON_MS)) as outward:
            beside = outward.beside(store)
            publishers = [one for one in beside if isinstance(one, Publisher)]
            names = [place.name for one in publishers for place in one._places]
            return [type(one) for one in beside], names

    with open_signed(configured) as store:
        return asyncio.run(run(store))


def test_nothing_is_driven_where_nothing_is_configured(tmp_path):
    assert made(settings(tmp_path)) == ([], [])


def test_elasticsearch_has_the_projection_and_unless_told_otherwise_the_heads(tmp_path):
    both = settings(tmp_path, elasticsearch=ELASTIC)
    assert made(both) == ([Projection, Publisher], ["elasticsearch"])
    publish = {"publish": {"elasticsearch": False}}
    assert made(settings(tmp_path, elasticsearch=ELASTIC, ledger=publish)) == ([Projection], [])


def test_every_place_of_the_configuration_is_told(tmp_path):
    publish = {"file": tmp_path / "heads.ndjson", "webhook": "http://127.0.0.1:9/heads"}
    configured = settings(tmp_path, elasticsearch=ELASTIC, ledger={"publish": publish})
    assert made(configured) == (
        [Projection, Publisher],
        [f"file {tmp_path / 'heads.ndjson'}", "elasticsearch", "webhook http://127.0.0.1:9"],
    )


def test_what_cannot_be_told_is_known_and_the_rest_is_told(tmp_path):
    publish = {"file": tmp_path / "heads.ndjson", "webhook": "http://127.0.0.1:9/heads"}
    configured = settings(tmp_path, ledger={"publish": publish})

    async def run(store):
        async with opened(configured, {}, HandClock(NOON_MS)) as outward:
            (publisher,) = outward.beside(store)
            await publisher.last(NOON_MS)

    with open_signed(configured) as store:
        store.log.append_intent(action())
        asyncio.run(run(store))
        found = {name: (at.size, at.attempts) for name, at in told(store).items()}
    file = f"file {tmp_path / 'heads.ndjson'}"
    assert found == {file: (1, 0), "webhook http://127.0.0.1:9": (0, 1)}
    assert len((tmp_path / "heads.ndjson").read_text().splitlines()) == 1
