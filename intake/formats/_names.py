"""Which name in a JSON record means which field of a line: the usual spellings, then settings.

Paths in, (field, rank) out; of several names for one field the lowest rank that has a value wins.
A path is normal: lower case, without "-", "_", "@", "$", ":" and brackets, parts joined by ".". It
MUST be decided here, not in parsers, what a name means, so that one spelling never means two
things.
"""

from collections.abc import Iterable
from functools import lru_cache

from intake.settings import Fields, IntakeSettings

Names = dict[str, list[tuple[str, int]]]
"""Normal path -> (field, rank): a field of `Parsed`, or one of the parts named below.

request: a request line. uri, query: parts of a target. code: a status, if it is one. cookie: a
Cookie header. trace: a trace id, bare or in its header. hop: the peer of the last proxy (PROXY
protocol). remote_user: a Basic user. claim:N: an identity header after the first. internal:NAME:
an internal header. place: only its presence counts, as a place where a vouched principal would
stand.
"""

WRAPPED = 10_000
"""Added to the rank for each wrapper round a name."""
WRAPPERS = frozenset(
    """
    log logprocessed message msg data access accesslog httpaccess fields nginx json jsonpayload
    attributes payload record entry details properties context ctx meta body state
    """.split()
)
_IGNORED = str.maketrans("", "", "-_@$:() ")

_REQUEST = ("request.", "req.", "http.request.", "httprequest.", "http.")
_RESPONSE = ("response.", "res.", "resp.", "http.response.", "httpresponse.")
_HEADERS = tuple(
    part + headers
    for part in ("", *_REQUEST)
    for headers in ("headers.", "header.", "requestheaders.", "reqheaders.")
)
_HEADER_PREFIXES = (
    "", "http", "header", "headers", "requestheader", "reqheader", "reqheaders", "sent", "req",
    "request", "cs",
)  # fmt: skip
_USERS = ("user.", "usr.", "enduser.", "auth.", "authentication.", "identity.", "principal.",
          "jwt.", "claims.", "jwtclaims.", "token.", "request.user.", "req.user.")  # fmt: skip

# By field, best first.
_ANYWHERE = {
    "time_ms": """msec timestamp timeiso8601 time ts datetime timelocal date eventtime logtime
        starttime startedat requesttimestamp requestedat receivedat starttimestamp asctime
        timestampms unixtime epoch reqtimesec t""",
    "peer": """socketip remoteaddr remoteip remoteipaddress clientip clientaddr clientaddress
        clientipaddress remoteaddress sourceip srcip sourceaddress downstreamremoteaddress
        calleripaddress ipaddress ip cip cliip remotehost peeraddr peer client remote
        sourceipport client.ip client.address client.addr source.ip source.address
        source.remoteaddress proxy.clientip remote.ip remote.address
        remote.addr connection.remoteaddress connection.remoteaddr socket.remoteaddress
        network.client.ip net.peer.ip net.sock.peer.addr network.peer.address peer.address""",
    "forwarded": "xff forwardedfor proxyaddxforwardedfor",
    "method": "requestmethod method httpmethod verb reqmethod csmethod proxy.method",
    "target": """proxy.path originalrequesturiwithargs requesturi originaluri originalurl rawuri
        requesttarget target httptarget url.original uri.original pathandquery""",
    "request": "request requestline httprequest firstline requestedurl",
    "uri": """uri requesturl url path requestpath rawpath urlpath uripath csuristem httpurl
        httppath requesteduri reqpath endpoint url.full url.path uri.full uri.path""",
    "query": "args querystring query requestquery querystr urlquery csuriquery url.query uri.query",
    "status": """status statuscode responsecode httpstatus httpstatuscode responsestatus
        responsestatuscode respstatus scstatus http.statuscode http.status httprequest.status
        proxy.statuscode""",
    "code": "code",
    "bytes": """bodybytessent bytessent bytes responsesize responsebytes responselength respsize
        responsebodysize sccontentlen bytesout sentbytes size responsecontentlength contentlength
        length network.byteswritten httprequest.responsesize proxy.responsebytesize""",
    "host": """proxy.host xhostheader originalhost httphost host requesthost reqhost vhost
        virtualhost authority servername domain hostheader url.domain url.host http.host""",
    "user_agent": "proxy.useragent useragent ua agent browser useragent.original http.useragent",
    "referer": "referer referrer http.referer http.referrer proxy.referer",
    "request_id": """requestid reqid rid correlationid xedgerequestid trackingreference
        http.requestid""",
    "asserted": """userid principal principalid subject sub user username authuser uid
        authenticateduser authenticateduserid currentuser jwtsub jwtclaimsub tokensub usersub login
        request.user req.user""",
    "remote_user": "remoteuser csusername httpremoteuser request.remoteuser req.remoteuser",
    "session": """sessionid session sid sessid sess sessionkey cookiesession cookiesessionid
        cookiesid cookiesessid cookiejsessionid cookiephpsessid jsessionid phpsessid
        session.id user.sessionid user.session.id auth.sessionid""",
    "authorization": "authorizationheader authheader",
    "jwt_payload": "jwtpayload jwtpayloadb64 jwtpayloadbase64",
    "owners": """resourceowner resourceownerid targetuser targetuserid owneruserid
        resource.owner resource.ownerid labels.resourceowner""",
    "tenant": "tenantid tenant organizationid orgid tenant.id organization.id org.id",
    "context_error": """securitycontexterror contexterror labels.securitycontexterror
        labels.contexterror""",
    "hop": "proxyprotocoladdr",
    "trace": "traceid trace.id trace oteltraceid ddtraceid tr",
    "location": "senthttplocation upstreamhttplocation responselocation redirectlocation",
    "redirect": "location",
    "upstream_status": "upstreamstatus upstreamstatuscode upstream.status",
}
_IN_REQUEST = {
    "time_ms": "timestamp time",
    "peer": "remoteip remoteaddr clientip clientaddr remoteaddress ip",
    "method": "method requestmethod httpmethod verb",
    "target": "requesturi originalurl originaluri rawuri target pathandquery",
    "uri": "uri requesturl url path rawpath url.full url.path url.original",
    "query": "query querystring args url.query",
    "host": "host hostname authority",
    "user_agent": "useragent",
    "referer": "referer referrer",
    "request_id": "id requestid reqid",
    "session": "sessionid",
}
_IN_RESPONSE = {
    "status": "status statuscode code",
    "bytes": """bytes bodybytes body.bytes size bodysize contentlength length
        headers.contentlength""",
    "location": "location redirecturl headers.location",
}
_USER = "id userid sub subject principal username name login"
_COOKIES = ("cookies.", "request.cookies.", "req.cookies.", "http.request.cookies.")
_BY_HEADER = {
    "forwarded": ("X-Forwarded-For",),
    "forwarded_elements": ("Forwarded",),
    "client": ("CF-Connecting-IP", "True-Client-IP", "Fastly-Client-IP", "X-Real-IP"),
    "trace": ("traceparent", "X-B3-TraceId", "b3", "X-Amzn-Trace-Id", "X-Cloud-Trace-Context"),
    "host": ("Host",),
    "user_agent": ("User-Agent",),
    "referer": ("Referer", "Referrer"),
    "request_id": ("X-Request-ID", "X-Correlation-ID"),
    "session": ("X-Session-ID",),
    "authorization": ("Authorization",),
    "cookie": ("Cookie",),
    "jwt_payload": ("X-JWT-Payload", "X-Endpoint-API-UserInfo"),
    "tenant": ("X-Tenant-ID",),
    "origin": ("Origin",),
    "fetch_site": ("Sec-Fetch-Site",),
    "override_method": ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"),
}
# A trace holds many requests: it names one only where nothing better does.
_LAST = {"request_id": "traceid trace.id"}

# Where the owner vouches for both, a user of the application comes before a Basic user. The hop is
# added to what X-Forwarded-For says, so it comes after that: the lowest rank is put last.
_FIRST = {"remote_user": 1000, "hop": -100_000}

_SESSION_COOKIES = frozenset(
    """
    session sessionid sessid sess sid jsessionid phpsessid aspsessionid asp.netsessionid
    connect.sid cfid cgisessid authtoken accesstoken token jwt auth
    """.split()
)
_FIELDS = {
    "time": "time_ms",
    "trace_id": "trace",
    "forwarded": "forwarded_elements",
    "client_ip": "peer",
    "forwarded_for": "forwarded",
    "claimed_user": "claimed",
    "target_user": "owners",
}
"""Names of `Fields` that are not those of `Parsed`."""


def path_of(name: str) -> str:
    """The normal form of a name or dotted path."""
    return name.lower().translate(_IGNORED)


def header_paths(name: str) -> list[str]:
    """The normal paths where a request header may be logged."""
    plain = path_of(name).replace(".", "")
    return [prefix + plain for prefix in (*_HEADERS, *_HEADER_PREFIXES)]


def known_names(settings: IntakeSettings, special: Iterable[tuple[str, str]] = ()) -> Names:
    """What each name means under these settings.

    `special` (normal path, field; best first) comes before the usual names, settings before all.
    """
    names: Names = {}
    configured = _configured(settings.fields)
    for rank, (path, field) in enumerate(special, -1000):
        names.setdefault(path, []).append((field, rank))
    ours = set(names)
    for path, found in _usual().items():
        if path not in ours:
            names[path] = list(found)
    for at, header in enumerate(settings.identity_headers):
        for path in header_paths(header.name):
            names[path] = [(_claim(at), 0)]
    if "claimed" in configured:
        # Whichever header it is, it is honoured as the settings say of that one.
        path = configured.pop("claimed")
        headers = [header_paths(header.name) for header in settings.identity_headers]
        configured[_claim(next((at for at, it in enumerate(headers) if path in it), 0))] = path
    for field, path in configured.items():
        _drop(names, field)
        # A configured name means what the configuration says and nothing else.
        names[path] = [(f, r) for f, r in names.get(path, []) if f in configured or f == "place"]
        names[path].append((field, 0))
    for name in settings.internal_headers:
        for path in header_paths(name):
            names.setdefault(path, []).append((f"internal:{name}", 0))
    return names


def _configured(fields: Fields) -> dict[str, str]:
    """Field -> normal path."""
    found = {
        _FIELDS.get(name, name): path_of(path)
        for name, path in fields.model_dump().items()
        if path is not None
    }
    if found.get("session", "").endswith("cookie"):
        # The whole header changes with every other cookie in it: only one of them is meant.
        found["cookie"] = found.pop("session")
    return found


def _claim(at: int) -> str:
    """The field of the identity header of this number."""
    return f"claim:{at}" if at else "claimed"


def _drop(names: Names, field: str) -> None:
    parts = {
        "target": {"uri", "query"},
        "session": {"cookie"},
        "cookie": {"session"},
        "asserted": {"remote_user"},
    }
    gone = {field, *parts.get(field, ())}
    for path, found in names.items():
        names[path] = [(f, rank) for f, rank in found if f not in gone]


@lru_cache(maxsize=1)
def _usual() -> Names:
    names: Names = {}
    ranks: dict[str, int] = {}

    def add(field: str, paths: Iterable[str]) -> None:
        for path in paths:
            ranks[field] = rank = ranks.get(field, _FIRST.get(field, 0)) + 1
            names.setdefault(path, [(field, rank)])

    for field, text in _ANYWHERE.items():
        add(field, text.split())
    for field, headers in _BY_HEADER.items():
        for header in headers:
            add(field, header_paths(header))
    for parts, table in ((_REQUEST, _IN_REQUEST), (_RESPONSE, _IN_RESPONSE)):
        for field, text in table.items():
            add(field, [part + name for part in parts for name in text.split()])
    add("asserted", [part + name for part in _USERS for name in _USER.split()])
    add("session", [part + name for part in _COOKIES for name in sorted(_SESSION_COOKIES)])
    for field, text in _LAST.items():
        for path in text.split():
            names[path].append((field, 1000))
    return names


def containers(names: Names) -> frozenset[str]:
    """Every path that has known paths below it."""
    found: set[str] = set()
    for path in names:
        while (path := path.rpartition(".")[0]) and path not in found:
            found.add(path)
    return frozenset(found)


def session_cookie(header: str) -> str | None:
    """The value of the cookie that names a session, of a Cookie header."""
    for pair in header.split(";"):
        name, equals, value = pair.strip().partition("=")
        if equals and value and len(name) <= 64 and _names_session(name):
            return value.strip('"')
    return None


@lru_cache(maxsize=4096)
def _names_session(name: str) -> bool:
    plain = name.lower().removeprefix("__host-").removeprefix("__secure-").translate(_IGNORED)
    return plain in _SESSION_COOKIES or plain.endswith(("session", "sessionid", "sessid"))
