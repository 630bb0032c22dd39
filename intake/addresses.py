"""Whose address a request came from, believed no further than the trusted proxies reach.

In: the direct peer and the forwarding header as logged. Out: one canonical address, and whether it
can be trusted. A client that writes its own X-Forwarded-For must never become somebody else.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

_CACHE_ENTRIES = 50_000
_CACHED_LENGTH = 256
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PLAIN_V4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_V6_SUBNET = (1 << 128) - (1 << 64)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address in "192.0.2.1", "192.0.2.1:443", "[2001:db8::1]:443", "fe80::1%eth0"; else None.

    An IPv4-mapped IPv6 address is the IPv4 address that it carries.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
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


class ClientAddresses:
    """Finds the client behind trusted proxies, right to left (RFC 7239 section 8.1)."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted = [ip_network(network) for network in trusted_proxies]
        self._cache: dict[str | tuple[str, str], tuple[str, bool]] = {}

    def is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether this is one of our own proxies."""
        return any(address.version == n.version and address in n for n in self._trusted)

    def client(self, peer: str, forwarded: str | None) -> tuple[str, bool]:
        """(client address, trusted). Not trusted: taken from a header no trusted proxy set."""
        if not self._trusted and _PLAIN_V4.fullmatch(peer):
            return peer, True
        key: str | tuple[str, str] = peer
        if forwarded:
            if self._trusted or not peer or peer.startswith("unix:"):
                key = (peer, forwarded)
            else:
                # Nobody's header is believed, so it must not vary the cache key either.
                forwarded = None
        if (known := self._cache.get(key)) is None:
            known = self._resolve(peer, forwarded or "")
            if len(peer) + len(forwarded or "") > _CACHED_LENGTH:
                return known
            if len(self._cache) >= _CACHE_ENTRIES:
                self._cache.clear()
            self._cache[key] = known
        return known

    def _resolve(self, peer: str, forwarded: str) -> tuple[str, bool]:
        hops = [hop for hop in forwarded.split(",") if hop.strip()]
        address = parse_address(peer) if peer else None
        # A socket is our own; what came through it was set by the proxy in front, if we have one.
        ours = peer.startswith("unix:") and bool(hops)
        if peer and not ours and (address is None or not self.is_trusted(address)):
            return canonical_address(peer), True
        trusted = bool(peer and self._trusted)
        client = canonical_address(peer) if peer and not ours else ""
        for hop in reversed(hops):
            address = parse_address(hop)
            if address is None:
                # A trusted proxy appended something that is no address: stop at what is known.
                return (client, trusted) if client else (hop.strip(), False)
            client = str(address)
            if not self.is_trusted(address):
                break
        return client, trusted
