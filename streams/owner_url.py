"""URLs of ownership services: a template with {object}, or {objects} for several at once.

A template and objects in, what is wrong with it or the URL to ask out. An object is what a client
wrote: it MUST stay one part of the path or query, whatever is in it.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

ONE, SEVERAL = "{object}", "{objects}"
LONGEST_OBJECT = 256
_NAMED = re.compile(r"\{[^{}]*\}")


def problem_of(template: str) -> str:
    """What is wrong with a template, and what to write instead; "" for a sound one."""
    write = f"write https://host/owners/{ONE}, or https://host/owners?ids={SEVERAL}"
    try:
        parts = urlsplit(template)
        named = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        named = None
    if not named or not template.isprintable() or " " in template:
        return f"not an http or https URL: {write}"
    if parts.username is not None or parts.password is not None:
        return "take user and password out of the URL, and use token_env or token_file"
    if other := next((name for name in _NAMED.findall(template) if name not in {ONE, SEVERAL}), ""):
        return f"{other} cannot be filled in, only the object: {write}"
    if "{" in parts.netloc or template.count(ONE) + template.count(SEVERAL) != 1:
        return f"name the object once, behind the host: {write}"
    return "a URL that is asked has no fragment" if parts.fragment else ""


def host_of(template: str) -> str:
    """The host, and the port if it is not the usual one: what messages call the service."""
    return urlsplit(template).netloc


def takes_several(template: str) -> bool:
    """Whether several objects are asked for at once."""
    return SEVERAL in template


def url_of(template: str, objects: Iterable[str]) -> str:
    """The URL that asks for these objects; one, where the template takes one."""
    text = ",".join(quote(item, safe="") for item in objects)
    return template.replace(SEVERAL, text).replace(ONE, text)


def is_askable(item: str) -> bool:
    """Whether an object can be asked for; what is not is no object's id."""
    return item not in {".", ".."} and item.isprintable() and 0 < len(item) <= LONGEST_OBJECT
