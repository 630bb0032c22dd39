"""Takes secrets out of what is kept and shown: request targets, raw lines, rejects.

Text in, the same text with `[secret]` in their places out. It would rather hide too much than too
little, MUST NOT raise, and MUST stay linear in the text: half of it is the attacker's. So nothing
is searched for again from a place that was passed: names are found first, and judged.
"""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote

SECRET = "[secret]"  # noqa: S105  what stands in a secret's place
_SHORTEST_KNOWN = 6
_LONGEST_NAME = 256

# Names without case, "_", "-" and "."; a name also counts by its last part (user[password]).
_NAMES = frozenset(
    """
    token accesstoken refreshtoken idtoken authtoken bearertoken sessiontoken csrftoken xsrftoken
    securitytoken resettoken oauthtoken jwt csrf xsrf apikey apisecret appkey appsecret key
    secretkey accesskey accesskeyid awsaccesskeyid privatekey secret clientsecret
    password passwd pwd pass passphrase passcode newpassword oldpassword currentpassword
    confirmpassword passwordconfirmation pin otp totp mfacode code authcode verificationcode
    accesscode codeverifier oauthverifier signature sig hmac xamzsignature xamzsecuritytoken
    xamzcredential xgoogsignature xgoogcredential
    session sessionid sessionkey sessid sid jsessionid phpsessid aspsessionid aspnetsessionid
    connectsid auth authorization proxyauthorization authheader cookie cookies setcookie
    assertion clientassertion samlresponse samlart ticket credential credentials cvv cvc
    """.split()
)
_SUFFIXES = ("token", "password", "passwd", "secret", "apikey", "sessionid", "authorization")
_PAGING = frozenset({"pagetoken", "nexttoken", "nextpagetoken", "continuationtoken"})
_PREFIXES = ("x", "http", "httpx", "cookie")
_PUNCTUATION = str.maketrans("", "", "-_. $@:")

_JWT = re.compile(r"eyJ[\w-]*+(?:(?:\.|%2[eE])[\w-]*+){0,4}", re.ASCII)
_SCHEME = re.compile(
    r"\b(bearer|basic|negotiate|ntlm)((?:\s|%20|\+)++)([\w.~+/=%-]++)", re.ASCII | re.IGNORECASE
)
_DIGEST = re.compile(
    r'\b(digest(?:\s|%20|\+)++)(?:\w{1,40}=(?:\\?"[^"\\]*+\\?"|[^\s",]*+),?\s*+)++',
    re.ASCII | re.IGNORECASE,
)
_USERINFO = re.compile(
    r"(://|%3a%2f%2f)(?:(?!%2f|%3f)[^/?#\s\"'<>&\\])*(@|%40)", re.ASCII | re.IGNORECASE
)
_PATH_SESSION = re.compile(r"((?:;|%3b)jsessionid(?:=|%3d))[^/?&;#\s\"'\\]*+", re.IGNORECASE)
_HEADER = re.compile(
    r"\b((?:(?:proxy-)?authorization|(?:set-)?cookie|x-api-key|x-auth-token)\s*+:\s*+)[^\s\"'][^\r\n\"]*+",
    re.ASCII | re.IGNORECASE,
)
# A word without which the costly search is not needed, the search, what to write.
_RULES = (
    ("digest", _DIGEST, rf"\1{SECRET}"),
    *((word, _SCHEME, rf"\1\2{SECRET}") for word in ("bearer", "basic", "negotiate", "ntlm")),
    *((word, _USERINFO, rf"\1{SECRET}\2") for word in ("://", "%3a%2f%2f")),
    ("jsessionid", _PATH_SESSION, rf"\1{SECRET}"),
    *(
        (word, _HEADER, rf"\1{SECRET}")
        for word in ("authorization:", "cookie:", "x-api-key:", "x-auth-token:")
    ),
)
_BETWEEN_PAIRS = re.compile(r"([?&;#\s\"'<>]++|%3[fFbB]|%2[63]|%22|\\x22|\\++)", re.ASCII)
_PAIR = re.compile(r"(.{0,256}?)(=|%3[dD])", re.DOTALL)
_JSON_NAME = re.compile(
    r"(?P<open>[\"']|\\x22|%22)(?P<name>[^\"'\\%]{1,100}+)"
    r"(?P<q>(?:\\++(?=[\"']))?+(?P=open))\s*+(?::|%3[aA])\s*+"
)
_JSON_HINT = re.compile(r"[\"']\s*+:|x22|%22")
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[{}\[\]]', re.DOTALL)
_ENDING_QUOTE = re.compile(r"(?<!\\)(\\*+)([\"'])")
_BARE = re.compile(r"[^\s,}\]&\"']*+")
_PLAIN_VALUES = frozenset({"", "true", "false", "null", "-"})


def mask(text: str, known: Iterable[str] = ()) -> str:
    """The text with secrets replaced: `known` values, tokens, and values under telling names."""
    for value in sorted({v for v in known if len(v) >= _SHORTEST_KNOWN}, key=len, reverse=True):
        for form in {value, quote(value, safe=""), json.dumps(value)[1:-1]}:
            text = text.replace(form, SECRET)
    if "eyJ" in text:
        text = _JWT.sub(_mask_jwt, text)
    lower = text.lower()
    for word, pattern, instead in _RULES:
        if word in lower:
            text = pattern.sub(instead, text)
    return _mask_pairs(_mask_json(text))


def mask_target(target: str) -> str:
    """The same for a request target; nearly all have nothing to hide and return at once."""
    if "?" not in target and ";" not in target and "eyJ" not in target and "@" not in target:
        return target
    path, mark, query = target.partition("?")
    if _SIMPLE.fullmatch(target) and "eyJ" not in target:
        # Without any punctuation that hides or nests, only the names of parameters can tell.
        for pair in query.split("&"):
            if is_secret(pair.partition("=")[0]):
                break
        else:
            return target
    if ";" in path:
        path = "/".join(
            segment if ";" not in segment else _mask_pairs(segment) for segment in path.split("/")
        )
    if "=" in query:
        query = "&".join([_mask_parameter(pair) for pair in query.split("&")])
    target = path + mark + query
    return mask(target) if _SUSPICIOUS.search(target) else target


def _mask_parameter(pair: str) -> str:
    name, _, value = pair.partition("=")
    return f"{name}={SECRET}" if value and is_secret(name) else pair


_SIMPLE = re.compile(r"[\w/?&=.~:,!*-]++", re.ASCII)
_SUSPICIOUS = re.compile(r"eyJ|[;@\"{]|%3[bBdD]|%40|%22|%7[bB]|bearer|basic", re.IGNORECASE)


def mask_line(line: bytes, known: Iterable[str] = ()) -> tuple[bytes, bool]:
    """(the line with secrets replaced, whether any was); other bytes stay exactly as they were."""
    # Latin-1 maps every byte to one character and back.
    forms = [form for value in known for form in (value, _bytewise(value))]
    masked = mask(line.decode("latin-1"), forms).encode("latin-1", "replace")
    return masked, masked != line


def _bytewise(value: str) -> str:
    return value.encode("utf-8", "replace").decode("latin-1")


def is_secret(name: str) -> bool:
    """Whether a value under this name is a secret; the name may be percent-encoded."""
    return len(name) <= _LONGEST_NAME and _is_secret(name)


@lru_cache(maxsize=8192)
def _is_secret(name: str) -> bool:
    for _ in range(3):
        if "%" not in name:
            break
        name = unquote(name)
    name = name.lower().strip("[]{}(), ").replace("]", "").replace("[", ".").strip(".")
    return any(_telling(part) for part in (name, name.rpartition(".")[2]))


def _telling(name: str) -> bool:
    plain = name.translate(_PUNCTUATION)
    if plain in _PAGING:
        return False
    return (
        plain in _NAMES
        or plain.endswith(_SUFFIXES)
        or any(plain.startswith(p) and plain[len(p) :] in _NAMES for p in _PREFIXES)
    )


def _mask_jwt(match: re.Match[str]) -> str:
    dots = match[0].count(".") + match[0].lower().count("%2e")
    return SECRET if dots else match[0]


def _mask_pairs(text: str) -> str:
    """Values of name=value, wherever it stands: query, cookie, form, logfmt."""
    if "=" not in text and "%3" not in text:
        return text
    pieces = _BETWEEN_PAIRS.split(text)
    for at in range(0, len(pieces), 2):
        piece = pieces[at]
        if "=" not in piece and "%3" not in piece:
            continue
        if (pair := _PAIR.match(piece)) is None or not is_secret(pair[1].rpartition("/")[2]):
            continue
        if len(piece) > pair.end():
            # What another search hid already may have more path behind it.
            if not piece.startswith(SECRET, pair.end()):
                pieces[at] = pair[0] + SECRET
        elif at + 2 < len(pieces) and pieces[at + 1].rstrip() in {'"', "'", "%22", "\\x22"}:
            _mask_quoted(pieces, at + 2, pieces[at + 1])
    return "".join(pieces)


def _mask_quoted(pieces: list[str], start: int, mark: str) -> None:
    """Hide what follows an opening quote up to the closing one."""
    for at in range(start, len(pieces), 2):
        pieces[at] = SECRET if at == start else ""
        if at + 1 < len(pieces):
            if mark in pieces[at + 1]:
                return
            pieces[at + 1] = ""


def _mask_json(text: str) -> str:
    """Values of "name": value, at any depth of quoting."""
    if _JSON_HINT.search(text) is None:
        return text
    done: list[str] = []
    start = at = 0
    while (found := _JSON_NAME.search(text, at)) is not None:
        if not text.endswith(found["q"], at, found.start("name")):
            # The name is opened with fewer backslashes than it is closed with.
            at = found.end("name")
            continue
        at = found.end()
        if not is_secret(found["name"]):
            # The closing quote may open the next name.
            continue
        end, instead = _json_value(text, at, found["q"], found["name"])
        if instead:
            done += text[start:at], instead
            start = end
        at = max(end, at)
    done.append(text[start:])
    return "".join(done)


def _json_value(text: str, at: int, mark: str, name: str) -> tuple[int, str]:
    """(end, what to write instead) of the value that begins at `at`; "" to leave it."""
    if text.startswith(mark, at):
        begin = at + len(mark)
        end = _quoted_end(text, begin, mark)
        if text[begin:end] in _PLAIN_VALUES:
            return end, ""
        return end, mark + SECRET
    if text[at : at + 1] in {"{", "["}:
        return _structure_end(text, at), mark + SECRET + mark
    end = _BARE.match(text, at).end()  # type: ignore[union-attr]  # matches the empty text too
    value = text[at:end]
    if value in _PLAIN_VALUES or (name.lower() == "code" and len(value) == 3):
        # A code of three digits is an HTTP status.
        return end, ""
    return end, mark + SECRET + mark


def _quoted_end(text: str, begin: int, mark: str) -> int:
    """Where the closing quote stands, or the end of the text."""
    if mark in {"%22", "\\x22"}:
        end = text.find(mark, begin)
        return len(text) if end < 0 else end
    depth = len(mark) - 1
    for found in _ENDING_QUOTE.finditer(text, begin):
        slashes = len(found[1])
        if found[2] == mark[-1] and (slashes < depth or (slashes - depth) % (2 * (depth + 1)) == 0):
            return found.end() - 1 - depth if slashes >= depth else found.start()
    return len(text)


def _structure_end(text: str, at: int) -> int:
    """Behind the bracket that closes the one at `at`, or the end of the text."""
    depth = 0
    for found in _STRUCTURE.finditer(text, at):
        if found[0] in {"{", "["}:
            depth += 1
        elif found[0] in {"}", "]"}:
            depth -= 1
            if not depth:
                return found.end()
    return len(text)
