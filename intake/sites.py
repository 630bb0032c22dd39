"""Whether another site made a browser send a request, as far as its headers can be believed."""

from urllib.parse import urlsplit

from intake.line import Parsed


def is_cross_site(line: Parsed) -> bool:
    """Another site made a browser send this (Sec-Fetch-Site, else a foreign Origin).

    No site can make a browser add a bearer token or an identity header: where one is, the client
    wrote the origin itself.
    """
    if line.claimed or line.other_claims:
        return False
    if line.authorization and not line.authorization.lower().startswith("basic "):
        return False
    if line.fetch_site:
        return line.fetch_site.lower() == "cross-site"
    origin, own = _host_of(line.origin or ""), _host_of(f"//{line.host or ''}")
    return bool(origin and own) and _site(origin) != _site(own)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _site(host: str) -> str:
    """The part of a host that one owner has: app.example.com and api.example.com are one site."""
    if host.replace(".", "").isdigit() or ":" in host:
        return host
    labels = host.split(".")
    # Without the list of public suffixes: co.uk and com.au have a short label before the last.
    return ".".join(labels[-3:] if len(labels[-2:][0]) <= 3 else labels[-2:])
