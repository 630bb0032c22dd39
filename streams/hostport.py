"""`host:port` as people write it in the configuration, checked once."""

from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator


def _host_port(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 <= int(port) < 65_536:
        raise ValueError(f"{text!r} is not host:port: write it like 127.0.0.1:8642")
    if host.startswith("["):
        ip_address(host.strip("[]"))
    elif ":" in host:
        raise ValueError(f"{text!r}: an IPv6 address stands in brackets, like [::1]:8642")
    return text


HostPort = Annotated[str, AfterValidator(_host_port)]
"""An address or a name, and a port; an IPv6 address in brackets."""
