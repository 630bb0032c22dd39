import asyncio
import logging
import ssl

import httpx
import pytest

from incidents.owners import Leave
from intake.ownership import Grant, Tables
from intake.settings import IntakeSettings, Ownership
from streams.owner_service import Said, Service, Trouble, services
from tests._owner_service import TOKEN, OwnerService

NOW_MS = 1_795_341_600_000
ROUTE = "/cards/{object}"
OWNERS = {"1": "u-17", "2": ["u-18", 19], "3": None, "4": [], "5": "U5@Example.com", "a b/c": "u-1"}
TABLES = Tables(people={"19": "u-19"})


@pytest.fixture
def service():
    with OwnerService(dict(OWNERS)) as running:
        yield running


def ask(running, *objects, several=False, environ=None, **source):
    http = running.several if several else running.one
    settings = IntakeSettings(ownership=[Ownership(route=ROUTE, http=http, **source)])

    async def run():
        async with services(settings, TABLES, environ or {}) as (one,):
            assert (one.route, one.host) == (ROUTE, running.host)
            return await one.ask(list(objects), NOW_MS)

    return asyncio.run(run())


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(
    ("item", "owners"),
    [
        ("1", ("u-17",)),
        ("2", ("u-18", "u-19")),
        ("3", ()),
        ("4", ()),
        ("5", ("u5@example.com",)),
        ("9", ()),
        ("a b/c", ("u-1",)),
    ],
)
def test_one_object(service, item, owners, several):
    assert ask(service, item, several=several) == Said({item: owners})


def test_several_objects_at_once(service):
    said = ask(service, "1", "2", "3", several=True)
    assert said == Said({"1": ("u-17",), "2": ("u-18", "u-19"), "3": ()})
    assert service.asked == [["1", "2", "3"]]


def test_what_an_answer_leaves_out_is_asked_for_alone(service):
    said = ask(service, "1", "9", several=True)
    assert said == Said({"1": ("u-17",)}, again=("9",))


@pytest.mark.parametrize("status", [404, 410])
def test_no_such_object(service, status):
    service.trouble = status
    assert ask(service, "1") == Said({"1": ()})
    assert ask(service, "1", "2", several=True) == Said(again=("1", "2"))


@pytest.mark.parametrize(
    "body", [b'{"owners": {"1": "u-7", "02": ["u-8"]}}', b'{"1":"u-7","2":"u-8"}']
)
def test_owners_by_object_in_either_form(body):
    def answer(request):
        return httpx.Response(200, content=body)

    source = Ownership(route=ROUTE, http="http://a.example/{objects}")

    async def run():
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await Service(source, client, {}, Tables()).ask(["1", "2"], NOW_MS)

    assert asyncio.run(run()) == Said({"1": ("u-7",), "2": ("u-8",)})


SHAPE = 'its answer is not what was agreed: {"owner": "u-17"} or {"owners": [...]}'
TROUBLES = [
    # trouble, words, least wait
    (500, "failed (500)", 1.0),
    (503, "failed (503)", 7.0),
    (429, "asks to wait 7 s (429)", 7.0),
    (401, "wants another token (401): set token_env or token_file of this source", 10.0),
    (403, "wants another token (403): set token_env or token_file of this source", 10.0),
    (302, "redirects (302), which is not followed: correct `http`", 10.0),
    (405, "did not accept the request (405): correct `http`", 10.0),
    ("slow", "no answer within 0.2 s", 1.0),
    ("half", "its answer broke off or is not HTTP", 1.0),
    ("nonsense", "its answer is no JSON", 10.0),
    ("list", SHAPE, 10.0),
    ("wrong", SHAPE, 10.0),
    ("huge", "its answer exceeds 8388608 bytes", 10.0),
]


@pytest.mark.parametrize(
    ("trouble", "words", "wait_s"), TROUBLES, ids=[str(t[0]) for t in TROUBLES]
)
def test_a_trouble_is_no_answer(service, trouble, words, wait_s):
    service.trouble = trouble
    timeout = 0.2 if trouble == "slow" else 5
    said = ask(service, "1", timeout=timeout)
    assert said == Said(trouble=Trouble(f"{service.host}: {words}", wait_s))


def test_several_in_the_shape_of_one_is_a_trouble(service):
    service.trouble = "wrong"
    assert ask(service, "1", "2", several=True).trouble.says.endswith('{"ord-1": "u-17", ...}')


def test_nobody_there(service):
    service.stop()
    said = ask(service, "1")
    words = "cannot be connected to: is it running?"
    assert said == Said(trouble=Trouble(f"{service.host}: {words}", 1.0))


def test_an_object_that_it_does_not_take(service):
    service.refused = {"1"}
    assert ask(service, "1", "2", several=True) == Said(again=("1", "2"))
    words = f"{service.host}: does not take the object (422)"
    assert ask(service, "1") == Said(trouble=Trouble(words, 10.0, objects_only=True))


def test_the_token_is_read_each_time_and_never_shown(service, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    service.token = TOKEN
    assert ask(service, "1", token_env="CARDS", environ={"CARDS": f"{TOKEN}\n"}).owners
    file = tmp_path / "token"
    file.write_text(TOKEN)
    assert ask(service, "1", token_file=file).owners
    file.write_text("another")
    said = ask(service, "1", token_file=file)
    assert said.trouble.says == f"{service.host}: wants another token (401): set {file}"
    for environ in ({}, {"CARDS": " "}, {"CARDS": "two words"}, {"CARDS": "é"}):
        asked = len(service.asked)
        said = ask(service, "1", token_env="CARDS", environ=environ)
        assert said.trouble.says == f"{service.host}: is not asked: $CARDS holds no token"
        assert len(service.asked) == asked
    file.unlink()
    assert "holds no token" in ask(service, "1", token_file=file).trouble.says
    assert TOKEN not in caplog.text


def test_a_certificate_that_nobody_vouches_for():
    def answer(request):
        failed = ssl.SSLCertVerificationError("no")
        failed.verify_message = "self-signed certificate"
        raise httpx.ConnectError("no") from failed

    source = Ownership(route=ROUTE, http="https://a.example/{object}")

    async def run():
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await Service(source, client, {}, Tables()).ask(["1"], NOW_MS)

    assert asyncio.run(run()).trouble.says == (
        "a.example: its certificate is not trusted (self-signed certificate): set ca_file"
    )


@pytest.mark.parametrize(
    ("text", "words"), [(None, "No such file or directory"), ("x", "no certificate in PEM form")]
)
def test_a_wrong_ca_file_is_said_before_anything_is_asked(service, tmp_path, text, words):
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ValueError, match=words):
        ask(service, "1", ca_file=file)
    assert service.asked == []


def test_only_http_sources_are_services():
    settings = IntakeSettings(ownership=[Ownership(route=ROUTE, learn=True)])

    async def run():
        async with services(settings, Tables(), {}) as found:
            return found

    assert asyncio.run(run()) == []
    with pytest.raises(ValueError, match="it has no `http`"):
        Service(settings.ownership[0], httpx.AsyncClient(), {}, Tables())


GRANTS = [
    Grant("19", "u-17", "/api/**", 5, None),
    Grant("u-2", "u-17", "/other/**", None, None),
    Grant("u-3", "*", "/**", None, None),
    Grant("u-4", "u-18", "/api/cards/c-1", None, 9),
]


@pytest.mark.parametrize(
    ("item", "owners", "expected"),
    [
        ("c-1", ("u-17",), (Leave("u-17", "u-19", 5, None),)),
        ("c-1", ("u-17", "u-18"), (Leave("u-17", "u-19", 5, None), Leave("u-18", "u-4", None, 9))),
        ("c-2", ("u-18",), ()),
        ("c-1", (), ()),
    ],
)
def test_grants_of_owners_go_with_their_names(item, owners, expected):
    source = Ownership(route="/api/cards/{object}/**", http="http://a.example/{object}")
    tables = Tables(people={"19": "u-19"}, grants=GRANTS)
    assert Service(source, httpx.AsyncClient(), {}, tables).leaves(item, owners) == expected
