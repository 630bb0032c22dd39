from ipaddress import ip_address

import msgspec
import pytest

import evidence._exposures as module
from evidence.store import EmbeddedStore
from records.event import Actor, Exposure
from records.stores import ExposureStore

A, B, C = Actor("ip", "192.0.2.1"), Actor("session", "5e55"), Actor("principal", "u-9")
FOREVER = 2**60


def all_of(store, *actors):
    return list(store.exposures_of(actors, 0, FOREVER))


def test_store_is_an_exposure_store(store):
    kept: ExposureStore = store
    assert list(kept.exposures_of([A], 0, FOREVER)) == []


def test_every_field_comes_back(store, make):
    exposures = [
        make.exposure(0, A),
        make.exposure(1, A, target="", object="o-\x00'é\U0001f600", time_ms=-5),
        Exposure(event="e-2", time_ms=2**40, actor=A),
        make.exposure(3, A, session="", principal="", provenance="", ip="", fingerprint=""),
    ]
    store.add_exposures(exposures)
    got = list(store.exposures_of([A], -10, FOREVER))
    assert got == sorted(exposures, key=lambda x: (x.time_ms, x.event))
    assert len(Exposure.__struct_fields__) == 16  # a new field must be stored, too


def test_once_by_event_target_and_object(store, make):
    base = make.exposure(0, A)
    other = [
        msgspec.structs.replace(base, target="u-5"),
        msgspec.structs.replace(base, object="o-5"),
        msgspec.structs.replace(base, event="a1b2-1"),
    ]
    store.add_exposures([base, *other])
    store.add_exposures([base, base, *other])
    assert store.exposure_count() == 4


def test_order_is_time_then_event_over_many_actors(store, make):
    actors = [Actor("ip", f"192.0.2.{n % 250}:{n}") for n in range(1200)]
    exposures = [make.exposure(n * 7919 % 1200, actors[n]) for n in range(1200)]
    store.add_exposures(exposures)
    assert all_of(store, *actors) == sorted(exposures, key=lambda x: (x.time_ms, x.event))


def test_time_range_is_half_open(store, make):
    exposures = [make.exposure(n, A) for n in range(5)]
    store.add_exposures(exposures)
    got = store.exposures_of([A, A], exposures[1].time_ms, exposures[3].time_ms)
    assert list(got) == exposures[1:3]


def test_actors_are_not_mixed_up(store, make):
    same_value = Actor("ip", "5e55")
    exposures = [make.exposure(1, B), make.exposure(2, same_value), make.exposure(3, C)]
    store.add_exposures(exposures)
    assert all_of(store, B) == exposures[:1]
    assert all_of(store, same_value) == exposures[1:2]
    assert all_of(store, B, C) == [exposures[0], exposures[2]]
    assert all_of(store) == []


def test_reopened_store_knows_whom_it_wrote(tmp_path, make):
    for part in range(3):
        with EmbeddedStore.open(tmp_path) as store:
            store.add_exposures([make.exposure(part * 2 + n, (A, B)[n]) for n in range(2)])
    with EmbeddedStore.open(tmp_path) as store:
        assert all_of(store, A) == [make.exposure(n, A) for n in (0, 2, 4)]
        assert store.row("", "SELECT count(*), count(DISTINCT id) FROM who") == (2, 2)


def test_rolled_back_actors_are_forgotten(store, make):
    def undone():
        with store.transaction():
            store.add_exposures([make.exposure(0, A)])
            raise KeyError

    with pytest.raises(KeyError):
        undone()
    store.add_exposures([make.exposure(1, B), make.exposure(2, A)])
    assert all_of(store, A) == [make.exposure(2, A)]
    assert all_of(store, B) == [make.exposure(1, B)]


def test_memory_is_bounded_and_a_full_cache_changes_nothing(store, make, monkeypatch):
    monkeypatch.setattr(module, "_REMEMBERED", 10)
    actors = [Actor("ip", f"198.51.100.{n}") for n in range(35)]
    exposures = [
        make.exposure(n, actor, route=f"/r{n % 23}") for n, actor in enumerate([*actors, *actors])
    ]
    store.add_exposures(exposures)
    assert len(store._who_ids) <= 10
    assert len(store._what_ids) <= 10
    assert all_of(store, *actors) == exposures
    assert store.row("", "SELECT count(*) FROM who") == (35,)


NET, SIDE = Actor("subnet", "2001:db8::/64"), Actor("subnet", "2001:db8:0:1::/64")


def test_a_64_has_those_of_its_addresses_and_of_nobody_else(store, make):
    ips = ["2001:db8::1", "2001:db8::1:2:3:4", "2001:db8:0:0:1:2:3:4", "2001:db8::ffff:0:0:1"]
    inside = [make.exposure(n, Actor("ip", f"{ip_address(ip)}")) for n, ip in enumerate(ips)]
    beside = [
        make.exposure(10, Actor("ip", "2001:db8:0:1::1")),
        make.exposure(11, Actor("ip", "2001:db8::1:2:3:4:5")),  # as IPv6 writes ...:0:1:2:3:4:5
    ]
    odd = [Actor("ip", "2001:db8::api"), A, B, C]
    others = [make.exposure(20 + n, actor) for n, actor in enumerate(odd)]
    store.add_exposures([*inside, *beside, *others])
    assert all_of(store, NET) == sorted(inside, key=lambda x: (x.time_ms, x.event))
    assert all_of(store, SIDE) == beside
    assert all_of(store, NET, inside[0].actor) == all_of(store, NET)
    assert all_of(store, Actor("subnet", "192.0.2.0/24")) == []


def test_those_of_a_64_that_somebody_names_are_kept(store, make):
    inside = make.exposure(0, Actor("ip", "2001:db8::1"))
    beside = make.exposure(1, Actor("ip", "2001:db8:0:1::1"))
    store.add_exposures([inside, beside])
    store.put_incidents([make.incident(actors=(NET,))])
    assert store.prune(2**60, 0)["exposures"] == 1
    assert all_of(store, NET, SIDE) == [inside]
