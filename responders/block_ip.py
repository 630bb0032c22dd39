"""Blocks an address at the gateway, and lifts the block (CONTRACT 5).

In: an Action whose target is one address, or the /64 that one IPv6 client has. Out: a Receipt with
what the gateway's list then said. Must never send anything wider, nor show the token. A gateway
that knows no networks refuses, and the receipt says so. Its *state* has each target once: repeats
read back first and carry the action's Idempotency-Key.
"""

import ssl
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import httpx
import msgspec
from pydantic import SecretStr

from records.incident import Action, Receipt
from records.kinds import ActionKind, ReceiptState
from responders._base import (
    CA_SETTING,
    SLOW_S,
    Answer,
    Call,
    Fault,
    Plan,
    ReadBack,
    exchange,
    failed,
)  # fmt: skip
from responders.settings import GatewaySettings

LIST_LIMIT_BYTES = 16 * 2**20
"""About 400,000 addresses."""


class _BlockedIps(msgspec.Struct):
    ips: list[str]


def gateway_client(settings: GatewaySettings) -> httpx.AsyncClient:
    """A client for the gateway: TLS verified, no proxy or password from the environment.

    Raises:
        ValueError: `ca_file` cannot be read or holds no certificate.
    """
    verify: ssl.SSLContext | bool = True
    if settings.ca_file:
        try:
            verify = ssl.create_default_context(cafile=settings.ca_file)
        except OSError as error:  # ssl.SSLError is one
            tls = isinstance(error, ssl.SSLError)
            why = "no certificate in PEM form" if tls else error.strerror
            raise ValueError(f"reading {CA_SETTING} {settings.ca_file}: {why}") from error
    return httpx.AsyncClient(verify=verify, trust_env=False)


def canonical(text: str) -> str:
    """One address or IPv6 /64 in its one spelling; an IPv4-mapped address as IPv4.

    Raises:
        ValueError: anything else, such as another network, a zone id, or an address that means
            "all".
    """
    if text.endswith("/64"):
        network = IPv6Network(text)
        canonical(str(network[1]))
        return str(network)
    address: IPv4Address | IPv6Address = ip_address(text)
    if isinstance(address, IPv6Address):
        if address.scope_id:
            raise ValueError(f"{text!r} has a zone id, which means nothing to a gateway")
        address = address.ipv4_mapped or address
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{text!r} is not the address of one client")
    return str(address)


def _entry(text: str) -> str | None:
    """An entry of the gateway's list as one address, also where it is written as a /32 or /128."""
    try:
        network = ip_network(text)
        if network.version == 6 and network.prefixlen == 64:
            return canonical(text)
        return canonical(str(network[0])) if network.num_addresses == 1 else None
    except ValueError:
        return None


class BlockIp:
    """The gateway's block list."""

    kind: ActionKind = "block_ip"
    point = "gateway"

    def __init__(
        self,
        settings: GatewaySettings,
        client: httpx.AsyncClient,
        read_token: Callable[[], SecretStr | None],
    ) -> None:
        """`read_token` is asked at each call; it raises LookupError, with words for a person."""
        self._settings = settings
        self._client = client
        self._read_token = read_token

    def __repr__(self) -> str:
        return f"BlockIp({self._settings.url!r})"

    def plan(self, action: Action) -> Plan:
        """POST the block, then look for it in the list."""
        return self._plan(action, undo=False)

    def undo(self, action: Action) -> Plan:
        """POST the unblock, then look that the list no longer has it."""
        return self._plan(action, undo=True)

    def _plan(self, action: Action, *, undo: bool) -> Plan:
        ip = canonical(action.target)
        base, name = self._settings.url, "unblock_path" if undo else "block_path"
        path = self._settings.unblock_path if undo else self._settings.block_path
        return Plan(
            action=action.id,
            kind=self.kind,
            point=self.point,
            target=ip,
            want="absent" if undo else "present",
            doing=f"{'unblocking' if undo else 'blocking'} {ip}",
            call=Call(
                method="POST",
                url=base + path,
                setting=f"respond.gateway.{name}",
                key=f"{action.id}:undo" if undo else action.id,
                body=msgspec.json.encode({"ip": ip}),
            ),
            check=Call("GET", base + self._settings.list_path, "respond.gateway.list_path"),
        )

    async def perform(self, plan: Plan, at_ms: int, attempt: int) -> Receipt:
        """Block or unblock, and read back."""
        done = "blocked" if plan.want == "present" else "lifted"
        # An unblock always looks first: gateways answer 404 for an address that they do not have.
        if attempt > 1 or plan.want == "absent":
            found = await self.read_back(plan, at_ms)
            if found == plan.want:
                return self._settled(plan, f"already {done}: {plan.target}", found, at_ms, attempt)
            # A list that cannot be read must not keep an address blocked or open: only a gateway
            # that is down, or asks to wait, ends the attempt here.
            if isinstance(found, Fault) and (not found.sent or found.status == 429):
                return failed(plan, found, at_ms, attempt)
        if plan.call is None:
            raise ValueError(f"performing {plan.action}: its plan has no call")
        answer = await self._exchange(plan.call, at_ms)
        if isinstance(answer, Fault):
            return failed(plan, answer, at_ms, attempt)
        found = await self.read_back(plan, at_ms)
        if isinstance(found, Fault):
            unread = msgspec.structs.replace(
                found, detail=f"accepted, but reading back the list: {found.detail}"
            )
            return failed(plan, unread, at_ms, attempt)
        if found in {plan.want, "unavailable"}:
            return self._settled(plan, f"{done} {plan.target}", found, at_ms, attempt)
        drift = Fault(
            detail=f"the gateway answered {answer.status}, but its list says {found}",
        )
        receipt = failed(plan, drift, at_ms, attempt, found)
        return msgspec.structs.replace(receipt, state="drifted")

    async def read_back(self, plan: Plan, at_ms: int) -> ReadBack | Fault:
        """Whether the list has the address; unavailable where the gateway has no list."""
        listed = await self.listed(at_ms)
        if isinstance(listed, Fault):
            return "unavailable" if listed.status in {404, 405} else listed
        return "present" if plan.target in listed else "absent"

    async def listed(self, at_ms: int) -> frozenset[str] | Fault:
        """Every single address and /64 that the gateway says it blocks, in canonical form."""
        url = self._settings.url + self._settings.list_path
        answer = await self._exchange(Call("GET", url, "respond.gateway.list_path"), at_ms)
        if isinstance(answer, Fault):
            return answer
        try:
            ips = msgspec.json.decode(answer.body, type=_BlockedIps).ips
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Fault(
                detail='its answer is not {"ips": ["192.0.2.1", ...]}: check '
                "respond.gateway.list_path",
                status=answer.status,
            )
        return frozenset(ip for text in ips if (ip := _entry(text)))

    async def _exchange(self, call: Call, at_ms: int) -> Answer | Fault:
        try:
            token = self._read_token()
        except LookupError as error:
            return Fault(detail=str(error.args[0]), retry_after_s=SLOW_S, sent=False)
        return await exchange(
            self._client,
            call,
            token=token,
            token_name=self._settings.token_name,
            timeout_s=self._settings.timeout,
            limit_bytes=LIST_LIMIT_BYTES,
            at_ms=at_ms,
        )

    def _settled(
        self, plan: Plan, detail: str, found: ReadBack, at_ms: int, attempt: int
    ) -> Receipt:
        state: ReceiptState = "confirmed" if plan.want == "present" else "expired"
        return Receipt(
            action=plan.action,
            state=state,
            at_ms=at_ms,
            point=self.point,
            detail=detail,
            read_back=found,
            attempt=attempt,
        )
