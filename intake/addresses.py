"""Whose address a request came from, believed no further than the trusted proxies reach.

In: the direct peer and the forwarding headers as logged. Out: one canonical address, and whether it
can be trusted. A client that writes a forwarding header itself must never become somebody else.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

from intake.settings import Fields

Header = Literal["forwarded", "elements", "client"]
"""X-Forwarded-For; Forwarded (RFC 7239); a header of one address, such as CF-Connecting-IP."""

_CACHE_ENTRIES = 50_000
_CACHED_LENGTH = 256
_LONGEST_NODE = 128
_LONGEST_ELEMENT = 1024
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PLAIN_V4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_V6_SUBNET = (1 << 128) - (1 << 64)
# A port may be hidden too (RFC 7239, section 6.3).
_PORT = r"(?::(?:\d{1,5}|_[\w.-]{1,32}))?"
_BRACKETED = re.compile(rf"\[([^\[\]]++)\]{_PORT}", re.ASCII)
_WITH_PORT = re.compile(rf"([^:]++){_PORT}", re.ASCII)
_PAIR = re.compile(
    r'\s*+([\w-]++)\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)"|([^\s";\\]*+))\s*+(?:;\s*+|$)', re.DOTALL
)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address in "192.0.2.1", "192.0.2.1:443", "[2001:db8::1]:443", "fe80::1%eth0"; else None.

    An IPv4-mapped IPv6 address is the IPv4 address that it carries.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        match = _BRACKETED.fullmatch(text)
        text = match[1] if match else ""
    elif text.count(":") == 1:
        match = _WITH_PORT.fullmatch(text)
        text = match[1] if match else ""
    text = text.partition("%")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def canonical_address(text: str) -> str:
    """Canonical text of an address; a host name or socket path stays as it was logged."""
    address = parse_address(text)
    return text.strip() if address is None else str(address)


def is_address(text: str) -> bool:
    """Whether it is an address as Elasticsearch types it, not a host name or a socket's path."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def subnet_of(ip: str) -> str:
    """/24 of an IPv4 address in canonical form, /64 of an IPv6 one; "" for what is no address."""
    if ip.count(".") == 3 and ip.replace(".", "").isdigit():
        return ip.rpartition(".")[0] + ".0/24"
    address = parse_address(ip)
    if not isinstance(address, IPv6Address):
        return ""
    return str(IPv6Network((int(address) & _V6_SUBNET, 64)))


def net_of(ip: str) -> str:
    """The /64 of an IPv6 address, which one client has to itself; "" for anything else."""
    return subnet_of(ip) if ":" in ip else ""


def beginnings(net: str) -> tuple[str, ...]:
    """With what the canonical text of any address of a /64 begins: with one of these.

    Others may begin so too, because a text says nothing of how many zeros its :: stands for.
    """
    groups = IPv6Network(net)[0].exploded.split(":")[:4]
    plain = ":".join(f"{int(group, 16):x}" for group in groups) + ":"
    # A run of zeros may be the "::"; the last one also where the zeros after it make it longer.
    short = [
        plain[: run.start()] + ("::" if run.start() == 0 else ":") + plain[run.end() :]
        for run in re.finditer(r"(?<![^:])(?:0:)+", plain)
    ]
    return plain, *short


def forwarded_for(elements: str) -> list[str]:
    """The `for` of each element of a Forwarded header, "" where an element has none.

    Cut at every comma, also between quotes: no address holds one, and a quote that a client opens
    must not swallow what the proxies append.
    """
    return [_for_of(element) for element in elements.split(",") if element.strip()]


def _for_of(element: str) -> str:
    found, at = "", 0
    while at < len(element) <= _LONGEST_ELEMENT:
        # All of it must be well formed: within quotes, a Host that a client chose looks like more.
        if (pair := _PAIR.match(element, at)) is None:
            return ""
        if pair[1].lower() == "for":
            found = pair[3] if pair[2] is None else re.sub(r"\\(.)", r"\1", pair[2])
        at = pair.end()
    return found


def named_headers(fields: Fields) -> list[Header]:
    """The headers for which the configuration names a field."""
    found: list[Header] = []
    if fields.forwarded_for is not None:
        found.append("forwarded")
    if fields.forwarded is not None:
        found.append("elements")
    if fields.client is not None:
        found.append("client")
    return found


class ClientAddresses:
    """Finds the client behind trusted proxies, right to left (RFC 7239 section 8.1).

    Of several headers, the one that the configuration names decides. Without one, X-Forwarded-For
    does: nearly every proxy appends to it, while a header that a proxy does not know goes through
    as the client wrote it, True-Client-IP as well as Forwarded. Then Forwarded, then a single
    address.
    """

    def __init__(self, trusted_proxies: Sequence[str], named: Iterable[Header] = ()) -> None:
        """`named`: the headers for which the configuration names a field."""
        self._trusted = [ip_network(network) for network in trusted_proxies]
        usual: tuple[Header, ...] = ("forwarded", "elements", "client")
        ours = frozenset(named)
        self._order = sorted(usual, key=lambda header: (header not in ours, usual.index(header)))
        self._cache: dict[str | tuple[str, ...], tuple[str, bool]] = {}

    def is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether this is one of our own proxies."""
        return any(address.version == n.version and address in n for n in self._trusted)

    def client(
        self,
        peer: str,
        forwarded: str | None,
        elements: str | None = None,
        client: str | None = None,
    ) -> tuple[str, bool]:
        """(client address, trusted). Not trusted: taken from a header no trusted proxy set.

        `forwarded`: X-Forwarded-For. `elements`: Forwarded. `client`: the address that one proxy
        wrote. Each as logged, several headers of one name joined by commas.
        """
        if not self._trusted and _PLAIN_V4.fullmatch(peer):
            return peer, True
        key: str | tuple[str, ...] = peer
        if forwarded or elements or client:
            if self._trusted or not peer or peer.startswith("unix:"):
                key = (peer, forwarded or "", elements or "", client or "")
            else:
                # Nobody's header is believed, so it must not vary the cache key either.
                forwarded = elements = client = None
        if (known := self._cache.get(key)) is None:
            known = self._resolve(peer, forwarded or "", elements or "", client or "")
            if sum(map(len, key)) > _CACHED_LENGTH:
                return known
            if len(self._cache) >= _CACHE_ENTRIES:
                self._cache.clear()
            self._cache[key] = known
        return known

    def _resolve(self, peer: str, forwarded: str, elements: str, client: str) -> tuple[str, bool]:
        address = parse_address(peer) if peer else None
        headers = {"forwarded": forwarded, "elements": elements, "client": client}
        header = next((name for name in self._order if headers[name].strip(" ,")), "")
        # A socket is our own; what came through it was set by the proxy in front, if we have one.
        ours = peer.startswith("unix:") and bool(header)
        if peer and not ours and (address is None or not self.is_trusted(address)):
            return canonical_address(peer), True
        trusted = bool(peer and self._trusted)
        found = canonical_address(peer) if peer and not ours else ""
        for hop in _hops(header, headers.get(header, "")):
            address = parse_address(hop) if len(hop) <= _LONGEST_NODE else None
            if address is None:
                # A trusted proxy appended what is no address (unknown, _hidden): stop at it.
                return (found, trusted) if found else (hop.rpartition(",")[2].strip(), False)
            found = str(address)
            if not self.is_trusted(address):
                break
        return found, trusted


def _hops(header: str, value: str) -> Iterator[str]:
    """The hops of a header, the nearest first."""
    if header == "client":
        yield value
    elif header == "elements":
        yield from reversed(forwarded_for(value))
    else:
        yield from (hop for hop in reversed(value.split(",")) if hop.strip())
