import asyncio
from datetime import UTC, datetime

import httpx
import msgspec
import pytest
from pydantic import SecretStr

from records.incident import Action, Guard, Receipt
from responders._base import QUICK_S, SLOW_S, Call, Fault, Plan
from responders.block_ip import BlockIp, canonical, gateway_client
from responders.settings import GatewaySettings
from tests._gateway import TOKEN, Gateway

AT_MS = int(datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp()) * 1000
IP = "203.0.113.7"


def action(target=IP):
    return Action(
        id="act-1",
        kind="block_ip",
        target=target,
        until_ms=AT_MS + 3_600_000,
        mode="enforce",
        reason="SEV1",
        incident="inc-1",
        findings=("fin-1",),
        guard=Guard("pass", "0 innocent principals"),
        decided_ms=AT_MS,
    )


def settings(url="http://127.0.0.1:9000", **given):
    return GatewaySettings(url=url, token_env="GATEWAY_TOKEN", **given)


def perform(gateway_settings, *, attempt=1, undo=False, token=TOKEN, target=IP):
    def read_token():
        if token is None:
            raise LookupError("the token is missing: set $GATEWAY_TOKEN and restart")
        return SecretStr(token)

    async def run():
        async with gateway_client(gateway_settings) as client:
            responder = BlockIp(gateway_settings, client, read_token)
            plan = responder.undo(action(target)) if undo else responder.plan(action(target))
            return await responder.perform(plan, AT_MS, attempt)

    return asyncio.run(run())


def receipt(state, detail, read_back="", attempt=1, retry_after_s=None):
    return Receipt(
        action="act-1",
        state=state,
        at_ms=AT_MS,
        point="gateway",
        detail=detail,
        read_back=read_back,
        attempt=attempt,
        retry_after_s=retry_after_s,
    )


@pytest.fixture
def gateway():
    with Gateway() as running:
        yield running


def planner(**given):
    return BlockIp(settings(**given), httpx.AsyncClient(), lambda: None)


def test_plan():
    assert planner().plan(action()) == Plan(
        action="act-1",
        kind="block_ip",
        point="gateway",
        target=IP,
        want="present",
        doing=f"blocking {IP}",
        call=Call(
            "POST",
            "http://127.0.0.1:9000/admin/block-ip",
            "respond.gateway.block_path",
            "act-1",
            b'{"ip":"203.0.113.7"}',
        ),
        check=Call("GET", "http://127.0.0.1:9000/admin/blocked-ips", "respond.gateway.list_path"),
    )


def test_undo_has_its_own_path_and_key():
    plan = planner(unblock_path="/v2/unblock").undo(action())
    assert (plan.want, plan.doing) == ("absent", f"unblocking {IP}")
    assert plan.call == Call(
        "POST",
        "http://127.0.0.1:9000/v2/unblock",
        "respond.gateway.unblock_path",
        "act-1:undo",
        b'{"ip":"203.0.113.7"}',
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:DB8:0:1:0:0:0:0/64", "2001:db8:0:1::/64"),
    ],
)
def test_canonical(text, expected):
    assert canonical(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "203.0.113.0/24",
        "2001:db8::/63",
        "2001:db8::/65",
        "2001:db8::1/64",
        "ff02::/64",
        "/64",
        "203.0.113.07",
        "203.0.113.7 ",
        '203.0.113.7", "all": "',
        "fe80::1%eth0",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "3405803783",
        "example.org",
        "203.0.113.7\r\n",
    ],
)
def test_what_is_not_one_plain_address_is_never_planned(text):
    with pytest.raises(ValueError):
        planner().plan(action(text))


def test_blocks_and_reads_back(gateway):
    assert perform(settings(gateway.url)) == receipt("confirmed", f"blocked {IP}", "present")
    assert gateway.blocked == [IP]
    assert gateway.keys == {"act-1": f"block {IP}"}


def test_lifts_and_reads_back(gateway):
    perform(settings(gateway.url))
    assert perform(settings(gateway.url), undo=True) == receipt("expired", f"lifted {IP}", "absent")
    assert gateway.blocked == []


def test_lifting_what_is_not_blocked_asks_nothing_of_the_gateway(gateway):
    assert perform(settings(gateway.url), undo=True) == receipt(
        "expired", f"already lifted: {IP}", "absent"
    )
    assert gateway.calls == {"GET /admin/blocked-ips": 1}


@pytest.mark.parametrize(
    "spelling", ["2001:DB8:0::1", "2001:db8::1/128", "2001:0db8:0000:0000:0000:0000:0000:0001"]
)
def test_addresses_are_compared_as_addresses(gateway, spelling):
    gateway.blocked.append(spelling)
    gateway.blocked.extend(["not an address", "198.51.100.0/24"])
    done = perform(settings(gateway.url), attempt=2, target="2001:db8::1")
    assert done == receipt("confirmed", "already blocked: 2001:db8::1", "present", attempt=2)
    assert gateway.effects == {}


def test_a_network_that_covers_the_address_is_not_our_block(gateway):
    gateway.blocked.append("203.0.113.0/24")
    perform(settings(gateway.url), attempt=2)
    assert gateway.blocked == ["203.0.113.0/24", IP]


def test_a_repeat_reads_back_first(gateway):
    perform(settings(gateway.url))
    again = perform(settings(gateway.url), attempt=2)
    assert again == receipt("confirmed", f"already blocked: {IP}", "present", attempt=2)
    assert gateway.calls["POST /admin/block-ip"] == 1


REFUSED = "the gateway refused the token in $GATEWAY_TOKEN: set it and restart"
NOT_A_LIST = 'its answer is not {"ips": ["192.0.2.1", ...]}: check respond.gateway.list_path'

TROUBLES = [
    ("401", "failed", f"{REFUSED} (401)", "", SLOW_S, []),
    ("403", "failed", f"{REFUSED} (403)", "", SLOW_S, []),
    (
        "404",
        "failed",
        "no such path /admin/block-ip; check respond.gateway.block_path (404)",
        "",
        SLOW_S,
        [],
    ),
    ("429", "failed", "the gateway asks to wait 7 s (429)", "", 7.0, []),
    ("500", "failed", "the gateway failed: look at its log (500)", "", QUICK_S, []),
    (
        "302",
        "failed",
        "the gateway redirects, which is not followed: check respond.gateway.url (302)",
        "",
        SLOW_S,
        [],
    ),
    ("slow", "failed", "no answer within 0.3 s", "", QUICK_S, [IP]),
    ("half", "failed", "its answer broke off or is not HTTP", "", QUICK_S, [IP]),
    ("reset", "failed", "the connection broke while its answer was read", "", QUICK_S, []),
    ("reset_after", "failed", "the connection broke while its answer was read", "", QUICK_S, [IP]),
    ("not_http", "failed", "its answer broke off or is not HTTP", "", QUICK_S, []),
    (
        "nonsense",
        "failed",
        f"accepted, but reading back the list: {NOT_A_LIST}",
        "",
        QUICK_S,
        [],
    ),
    (
        "wrong_json",
        "failed",
        f"accepted, but reading back the list: {NOT_A_LIST}",
        "",
        QUICK_S,
        [],
    ),
    (
        "get_500",
        "failed",
        "accepted, but reading back the list: the gateway failed: look at its log (500)",
        "",
        QUICK_S,
        [IP],
    ),
    (
        "drift",
        "drifted",
        "the gateway answered 200, but its list says absent",
        "absent",
        QUICK_S,
        [],
    ),
]


@pytest.mark.parametrize(
    ("trouble", "state", "words", "read_back", "least_s", "blocked"),
    TROUBLES,
    ids=[row[0] for row in TROUBLES],
)
def test_trouble(gateway, trouble, state, words, read_back, least_s, blocked):
    gateway.trouble = trouble
    timeout = 0.3 if trouble == "slow" else 5
    assert perform(settings(gateway.url, timeout=timeout)) == receipt(
        state, f"blocking {IP}: {words}", read_back, retry_after_s=least_s
    )
    assert gateway.blocked == blocked


@pytest.mark.parametrize("trouble", ["get_404", "get_405"])
def test_without_a_list_the_answer_counts(gateway, trouble):
    gateway.trouble = trouble
    done = perform(settings(gateway.url))
    assert done == receipt("confirmed", f"blocked {IP}", "unavailable")
    lifted = perform(settings(gateway.url), undo=True)
    assert lifted == receipt("expired", f"lifted {IP}", "unavailable")
    assert gateway.blocked == []


@pytest.mark.parametrize("trouble", ["get_404", "get_405", "get_500"])
def test_without_a_readable_list_a_repeat_has_one_effect(gateway, trouble):
    gateway.trouble = trouble
    for attempt in (1, 2, 3):
        perform(settings(gateway.url), attempt=attempt)
    assert gateway.effects == {("block", IP): 1}
    assert gateway.calls["POST /admin/block-ip"] == 3


def test_a_list_that_cannot_be_read_keeps_nobody_blocked(gateway):
    perform(settings(gateway.url))
    gateway.trouble = "get_500"
    assert perform(settings(gateway.url), undo=True).state == "failed"
    assert gateway.blocked == []


def test_a_gateway_that_asks_to_wait_is_asked_once(gateway):
    gateway.trouble = "429"
    assert perform(settings(gateway.url), attempt=2).retry_after_s == 7.0
    assert gateway.calls.total() == 1


def test_gateway_down():
    with Gateway() as stopped:
        url = stopped.url
    assert perform(settings(url), attempt=2) == receipt(
        "failed",
        f"blocking {IP}: cannot connect: is it running, and is respond.gateway.url right?",
        attempt=2,
        retry_after_s=QUICK_S,
    )


def test_no_token(gateway):
    assert perform(settings(gateway.url), token=None) == receipt(
        "failed",
        f"blocking {IP}: the token is missing: set $GATEWAY_TOKEN and restart",
        retry_after_s=SLOW_S,
    )
    assert gateway.calls.total() == 0


def test_redirects_do_not_carry_the_token_away(gateway):
    gateway.trouble = "302"
    perform(settings(gateway.url))
    assert gateway.calls == {"POST /admin/block-ip": 1}


def test_a_server_without_tls_gets_no_token():
    """A plain server behind https:// is no gateway, and gets no token."""
    with Gateway() as plain:
        done = perform(settings(plain.url.replace("http:", "https:")))
        assert done.detail == (
            f"blocking {IP}: TLS failed: is respond.gateway.url https where the gateway is?"
        )
        assert plain.tokens == []


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file or directory"), ("not PEM", "no certificate in PEM form")],
)
def test_a_ca_file_that_is_none(tmp_path, content, why):
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    with pytest.raises(ValueError) as raised:
        gateway_client(settings(ca_file=file))
    assert str(raised.value) == f"reading respond.gateway.ca_file {file}: {why}"


def test_no_proxy_of_the_environment_sees_the_token(gateway, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert perform(settings(gateway.url)).state == "confirmed"


def test_repr_shows_no_more_than_the_url():
    assert repr(planner()) == "BlockIp('http://127.0.0.1:9000')"


def test_listed_reads_deep_nesting_as_nonsense():
    def answer(request):
        return httpx.Response(200, content=b'{"x":' + b"[" * 200_000)

    async def run():
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await BlockIp(settings(), client, lambda: None).listed(AT_MS)

    assert asyncio.run(run()) == Fault(detail=NOT_A_LIST, status=200)


def test_plans_compare_as_values():
    assert planner().plan(action()) == planner().plan(action())
    other = msgspec.structs.replace(action(), id="act-2")
    assert planner().plan(action()) != planner().plan(other)


NET = "2001:db8:0:1::/64"


def test_a_64_is_sent_and_read_back_as_text_and_lifted(gateway):
    own = settings(gateway.url)
    assert perform(own, target=NET) == receipt("confirmed", f"blocked {NET}", "present")
    gateway.blocked = ["2001:DB8:0:1:0:0:0:0/64", "2001:db8:0:2::1"]
    assert perform(own, target=NET, attempt=2).detail == f"already blocked: {NET}"
    gateway.blocked = [NET]
    assert perform(own, target=NET, undo=True) == receipt("expired", f"lifted {NET}", "absent")
    assert gateway.blocked == []


def test_one_address_of_a_64_in_the_list_is_not_the_64(gateway):
    gateway.blocked = ["2001:db8:0:1::7"]
    gateway.trouble = "drift"
    found = perform(settings(gateway.url), target=NET)
    assert (found.state, found.read_back) == ("drifted", "absent")


def test_a_gateway_that_knows_no_networks_says_why_nothing_is_blocked(gateway):
    gateway.knows_networks = False
    found = perform(settings(gateway.url), target=NET)
    assert (found.state, found.read_back, gateway.blocked) == ("failed", "", [])
    assert "422" in found.detail
