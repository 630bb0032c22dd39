import json

import pytest

from streams.listen.bulk import Item
from streams.listen.documents import of_array, of_bulk, of_lines

LINE = '192.0.2.1 - - [22/Nov/2026:09:00:01 +0000] "GET / HTTP/1.1" 200 5 "-" "a"'
MARKED = {"inode": "1", "device_id": "2"}


def filebeat(offset=7, message=LINE, file=None, **more):
    return {
        "@timestamp": "2026-11-22T09:00:02.000Z",
        "ecs": {"version": "8.0.0"},
        "host": {"name": "gw-1"},
        "agent": {"id": "a-1", "name": "gw-1", "ephemeral_id": "e-1"},
        "log": {"offset": offset, "file": {"path": "/var/log/nginx/access.log", **(file or {})}},
        "message": message,
        **more,
    }


def record(**more):
    """A record that a shipper decoded: no text in it, its fields stand beside the shipper's."""
    document = filebeat(**more)
    del document["message"]
    return {**document, "http": {"request": {"method": "GET"}}, "url": {"path": "/"}}


def sorted_(*documents, ids=(), goal="logs-x"):
    ids = ids or [""] * len(documents)
    return of_bulk(
        Item("create", goal, id_, json.dumps(document).encode())
        for document, id_ in zip(documents, ids, strict=True)
    )


def names(*documents, **given):
    return [each for parcel in sorted_(*documents, **given).parcels() for each in parcel.identities]


@pytest.mark.parametrize(
    ("document", "name"),
    [
        (filebeat(), "a-1:/var/log/nginx/access.log"),
        ({**filebeat(), "agent": {"name": "x"}}, "x:/var/log/nginx/access.log"),
        ({**filebeat(), "agent": 7, "host": {"name": "h"}}, "h:/var/log/nginx/access.log"),
        ({"log": LINE, "kubernetes": {"namespace_name": "web", "container_name": "nginx",
          "pod_name": "nginx-7f-x"}}, "kubernetes web:nginx"),
        ({"message": LINE, "kubernetes": {"namespace": "web", "container": {"name": "nginx"}}},
         "kubernetes web:nginx"),
        ({"message": LINE, "source_type": "file", "host": "gw-1", "file": "/var/log/a.log"},
         "gw-1:/var/log/a.log"),
        # A container has a number of its own with each start.
        (filebeat(log={"file": {"path": f"/var/log/containers/n-7f-x_web_nginx-{'a' * 64}.log"}}),
         "kubernetes web:nginx"),
        (filebeat(log={"file": {"path": f"/x/{'a' * 64}/{'b' * 64}-json.log"}}),
         "a-1:/x/*/*-json.log"),
        ({**filebeat(), "kubernetes": {"namespace": "web", "container": {"name": "nginx"}}},
         "kubernetes web:nginx"),
        # Names that an access record has are its clients'.
        ({"host": "api.example", "path": "/api/v1/users/u-1", "file": "x"}, "logs-x"),
        ({"log": {"file": "x"}, "kubernetes": [], "agent": []}, "logs-x"),
    ],
)  # fmt: skip
def test_a_document_belongs_to_the_file_or_container_that_it_names(document, name):
    assert [parcel.name for parcel in sorted_(document).parcels()] == [name]


def test_documents_of_one_file_are_one_source_and_stay_as_they_were_sent():
    body = json.dumps(filebeat()).encode()
    other = json.dumps({**filebeat(8), "agent": {"id": "a-2"}}).encode()
    items = [Item("create", "x", "", body), Item("index", "y", "", other), Item("delete", "x", "1"),
             Item("create", "z", "", b"not json"), Item("index", "x", "", body)]  # fmt: skip
    parcels = of_bulk(items).parcels()
    assert [(parcel.name, parcel.lines) for parcel in parcels] == [
        ("a-1:/var/log/nginx/access.log", [body, body]),
        ("a-2:/var/log/nginx/access.log", [other]),
        ("z", [b"not json"]),
    ]
    assert len({parcel.source for parcel in parcels}) == 3
    assert of_bulk(items).parcels() == parcels


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        # Sent again.
        (filebeat(), filebeat(), True),
        # Read again after a kill: what the shipper adds is another.
        (filebeat(), {**filebeat(), "@timestamp": "2026-11-22T09:30:00.000Z",
         "agent": {"id": "a-1", "ephemeral_id": "e-2"}}, True),
        # Another place, another file, another machine.
        (filebeat(), filebeat(8), False),
        (filebeat(), filebeat(log={"offset": 7, "file": {"path": "/var/log/b.log"}}), False),
        (filebeat(), filebeat(agent={"id": "a-2"}), False),
        # The file began anew under its name: another line at the same place.
        (filebeat(), filebeat(message=LINE.replace("09:00:01", "10:00:01")), False),
        (filebeat(file={"inode": "1"}), filebeat(file={"inode": "2"}), False),
        (filebeat(file={"fingerprint": "f"}), filebeat(file={"fingerprint": "g"}), False),
        # Decoded records: what is read anew does not count where the file is marked,
        (record(file=MARKED), {**record(file=MARKED), "@timestamp": "later"}, True),
        (record(file=MARKED), {**record(file=MARKED), "url": {"path": "/x"}}, False),
        # and does where it is not: it may be a file that began anew.
        (record(), {**record(), "@timestamp": "later"}, False),
    ],
)  # fmt: skip
def test_which_line_it_is(one, other, same):
    first, second = names(one, other)
    assert (b"" not in {first, second}, first == second) == (True, same)


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (({"a": 1}, "1", "x", {"a": 1}, "1", "x"), True),
        (({"a": 1}, "1", "x", {"a": 1}, "2", "x"), False),
        (({"a": 1}, "1", "x", {"a": 1}, "1", "y"), False),
        # An id that a client chose (a request id) hides no other line.
        (({"a": 1}, "1", "x", {"a": 2}, "1", "x"), False),
    ],
)
def test_an_id_names_a_document_with_what_is_in_it(given, same):
    one, id_1, goal_1, other, id_2, goal_2 = given
    (first,) = names(one, ids=[id_1], goal=goal_1)
    (second,) = names(other, ids=[id_2], goal=goal_2)
    assert (first == second) is same


@pytest.mark.parametrize(
    "document",
    [
        {"message": LINE},
        {"message": LINE, "log": {"offset": 7}},
        {"message": LINE, "log": {"offset": "7", "file": {"path": "/x"}}},
        {"message": LINE, "log": {"offset": None, "file": None}},
        {"message": LINE, "log": "x"},
    ],
)
def test_what_does_not_say_where_it_stands_has_no_name(document):
    sorting = sorted_(document)
    assert ([parcel.identities for parcel in sorting.parcels()], sorting.unnamed) == ([[b""]], 1)


def test_lines_as_they_are():
    named = json.dumps(filebeat()).encode()
    sorting = of_lines([LINE.encode() + b"\r", b"", b"  ", b"{broken", named], "gw")
    assert [(parcel.name, parcel.lines) for parcel in sorting.parcels()] == [
        ("gw", [LINE.encode(), b"{broken"]),
        ("a-1:/var/log/nginx/access.log", [named]),
    ]
    assert sorting.unnamed == 2
    assert [parcel.name for parcel in of_lines([b"x"], "").parcels()] == ["http"]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b'[{"a": 1}, {"b": "x\\ny"}]', [b'{"a":1}', b'{"b":"x\\ny"}']),
        (b'["one", "two\\nforged", 3]', [b"one", b"two forged", b"3"]),
        (b"[]", []),
        (b"[1", None),
        (b'{"a": 1}', None),
    ],
)
def test_an_array_is_a_line_for_each_of_its_values(body, lines):
    sorting = of_array(body, "x")
    found = None if sorting is None else [line for p in sorting.parcels() for line in p.lines]
    assert found == lines


@pytest.mark.parametrize(
    ("index", "name"),
    [
        ("logs-x", "logs-x"),
        ("filebeat-8.19.0", "filebeat-8.19.0"),
        ("filebeat-8.19.0-2026.11.22", "filebeat-8.19.0"),
        ("logstash-2026.11.22-000001", "logstash"),
        ("access_20261122", "access"),
        ("nginx-2026-11", "nginx"),
        ("2026.11.22", "2026.11.22"),
        ("", "http"),
    ],
)
def test_the_indices_of_several_days_are_one_source(index, name):
    assert [parcel.name for parcel in sorted_({"a": 1}, goal=index).parcels()] == [name]
