from collections import Counter
from ipaddress import ip_address, ip_network
from random import Random

import pytest

from console.simulate.world import (
    BATCH_IPS,
    BATCH_NETWORK,
    CARRIER_NETWORK,
    CRAWLER_IPS,
    FIRST_ORDER,
    HEALTH_IP,
    OFFICE_IP,
    ORDERS_EACH,
    build_world,
    pick,
    uuid_text,
)

FREE = [
    ip_network(text)
    for text in (
        "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "100.64.0.0/10",
        "2001:db8::/32",
    )
]  # fmt: skip


def world(users=5000, office_users=800, ids="prefix", principals="gateway", prefix="/api/v1"):
    return build_world(
        Random("w"),
        users=users,
        office_users=office_users,
        ids=ids,
        principals=principals,
        prefix=prefix,
    )


def addresses(built):
    return [device.ip for user in built.users for device in user.devices]


def test_all_addresses_are_documentation_benchmark_or_carrier_ranges():
    named = [*addresses(world()), HEALTH_IP, OFFICE_IP, *BATCH_IPS, *CRAWLER_IPS]
    assert [ip for ip in named if not any(ip_address(ip) in net for net in FREE)] == []
    assert all(ip_address(ip) in ip_network(BATCH_NETWORK) for ip in BATCH_IPS)
    assert not any(ip_address(ip) in ip_network(BATCH_NETWORK) for ip in addresses(world()))


def test_the_office_and_the_carriers_have_many_people_and_homes_have_few():
    counts = Counter(addresses(world()))
    assert counts[OFFICE_IP] == 800
    carrier = [n for ip, n in counts.items() if ip_address(ip) in ip_network(CARRIER_NETWORK)]
    assert min(carrier) > 20
    homes = [n for ip, n in counts.items() if ip.startswith(("198.", "2001:"))]
    assert (len(homes) > 4000, max(homes)) == (True, 2)


def test_200_000_users_have_as_many_homes_within_the_ranges():
    homes = {user.devices[0].ip for user in world(200_000, office_users=0).users}
    assert len(homes) > 180_000
    assert all(any(ip_address(ip) in net for net in FREE) for ip in list(homes)[::997])


@pytest.mark.parametrize(
    ("ids", "principals", "expected"),
    [
        ("prefix", "gateway", ("u-00002", "u-00002")),
        ("int", "gateway", ("2", "2")),
        ("int", "asserted", ("2", "2")),
        ("int", "none", ("2", "")),
    ],
)
def test_ids_and_principals(ids, principals, expected):
    user = world(3, 0, ids, principals).users[1]
    assert (user.id, user.principal) == expected


@pytest.mark.parametrize("principals", ["uuid", "mapped"])
def test_uuid_principals_are_of_another_space_than_the_ids(principals):
    users = world(50, 0, "int", principals).users
    assert {len(user.principal) for user in users} == {36}
    assert len({user.principal for user in users}) == 50


def test_uuid_text_is_a_version_4_uuid():
    import uuid

    made = [uuid.UUID(uuid_text(Random(n))) for n in range(50)]
    assert {(u.version, u.variant) for u in made} == {(4, uuid.RFC_4122)}


@pytest.mark.parametrize(
    ("order", "owner"),
    [
        (FIRST_ORDER, "u-00001"),
        (FIRST_ORDER + ORDERS_EACH - 1, "u-00001"),
        (FIRST_ORDER + ORDERS_EACH, "u-00002"),
        (FIRST_ORDER + 3 * ORDERS_EACH, None),
        (FIRST_ORDER - 1, None),
    ],
)
def test_orders_belong_to_people_in_a_row(order, owner):
    found = world(3, 0).owner_of(order)
    assert (found.id if found else None) == owner


@pytest.mark.parametrize("ids", ["prefix", "int", "uuid"])
def test_nobody_has_the_id_of_nobody(ids):
    built = world(40, 0, ids)
    assert {user.id for user in built.users}.isdisjoint(built.nobody(n) for n in range(500))


@pytest.mark.parametrize(
    ("principals", "staffed"),
    [("gateway", True), ("uuid", True), ("mapped", True), ("asserted", False), ("none", False)],
)
def test_staff_works_where_it_can_be_told_apart(principals, staffed):
    assert world(3, 0, principals=principals).staffed is staffed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"users": 1}, "simulating 1 users: foreign data needs at least 2"),
        ({"prefix": "api"}, "path prefix 'api': write it like /api/v1"),
        ({"prefix": "/api/"}, "path prefix '/api/': write it like /api/v1"),
    ],
)
def test_impossible_worlds_are_refused(arguments, message):
    with pytest.raises(ValueError) as refused:
        world(**arguments)
    assert str(refused.value) == message


def test_pick_reaches_every_item():
    rng = Random(3)
    assert {pick(rng, ("a", "b", "c")) for _ in range(100)} == {"a", "b", "c"}
