"""Random queries, as people would type them, and random documents that they may fit."""

from hypothesis import strategies as st

from records.ids import iso

IDS = ["u-1", "u-2", "U-1", "u-17", "ü-1", "a b", "x*y", "a_b", "a%b", "a!b", "c\\d", '"q"', "日本"]
PATHS = ["/users/u-1", "/users/u-2/orders?page=1", "/", "/a?b?c", "/users/u-1?", "/a%2Fb_c"]
ADDRESSES = [
    "192.0.2.1", "192.0.2.130", "198.51.100.7", "203.0.113.7", "2001:db8::1", "2001:db8:1::",
    "2001:db8:0:1:1:1:1:1", "::1", "::", "fe80::1",
]  # fmt: skip
NO_ADDRESSES = ["gateway", "unix:", "01.2.3.4", "1.2.3", "", "1:2", "a::b::c", "12345::"]
NETWORKS = ["192.0.2.0/24", "192.0.2.128/25", "192.0.2.1/32", "0.0.0.0/0", "203.0.112.0/22",
            "2001:db8::/32", "2001:db8::/64", "::/0", "fe80::/10", "::ffff:0:0/90",
            "::ffff:c000:200/120"]  # fmt: skip
NOON_MS = 1_795_348_800_000
TIMES_MS = [NOON_MS + n for n in (-86_400_000, -3_600_000, -1, 0, 1, 999, 60_000, 43_200_000)]
TIMES = [
    "2026-11-22", "2026-11-21", "2026-11-22T12", "2026-11-22T12:00", "2026-11-22T12:00:00",
    "2026-11-22T12:00:00.001Z", "2026-11-22T14:00:00+02:00", "now", "now-1h", "now-1d+1m",
    f"{NOON_MS}",
]  # fmt: skip


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def escaped(text):
    return "".join(f"\\{c}" if c in '\\*? "' else c for c in text)


def exact(pool):
    return st.sampled_from(pool).filter(bool).map(quoted)


@st.composite
def patterns(draw, pool):
    """Some of a value's characters made wild."""
    text = draw(st.sampled_from(pool).filter(bool))
    start = draw(st.integers(0, len(text)))
    stop = draw(st.integers(start, len(text)))
    middle = draw(st.sampled_from(["*", "?", "??", "*?", "a*"]))
    return escaped(text[:start]) + middle + escaped(text[stop:])


def ranges(values):
    end = values | st.just("*")
    both = st.tuples(st.sampled_from("[{"), end, end, st.sampled_from("]}"))
    return both.map(lambda r: f"{r[0]}{r[1]} TO {r[2]}{r[3]}") | st.tuples(
        st.sampled_from([">", ">=", "<", "<="]), values
    ).map("".join)


def keyword(name, pool):
    value = exact(pool) | patterns(pool) | ranges(exact(pool)) | st.just("*")
    return value.map(lambda v: f"{name}:{v}")


def number(name, pool):
    value = st.sampled_from(pool).map(str)
    return (value | ranges(value) | st.just("*")).map(lambda v: f"{name}:{v}")


def date(name):
    value = st.sampled_from(TIMES).map(quoted)
    return (value | ranges(value) | st.just("*")).map(lambda v: f"{name}:{v}")


def ip(name):
    value = st.sampled_from(ADDRESSES).map(quoted)
    network = st.sampled_from(NETWORKS).map(quoted)
    return (value | network | ranges(value) | st.just("*")).map(lambda v: f"{name}:{v}")


def boolean(name):
    return st.sampled_from(["true", "false", "*"]).map(lambda v: f"{name}:{v}")


def trees(leaves):
    """Leaves under AND, OR, NOT and brackets."""

    def grow(inner):
        joined = st.tuples(
            inner, st.sampled_from([" AND ", " OR ", " AND NOT ", " OR NOT "]), inner
        )
        return joined.map(lambda t: f"({t[0]}){t[1]}({t[2]})") | inner.map(lambda t: f"NOT ({t})")

    return st.recursive(leaves, grow, max_leaves=5)


EVENT_QUERIES = trees(
    keyword("user.id", IDS)
    | keyword("breachline.targets", IDS)
    | keyword("url.original", PATHS)
    | keyword("url.path", PATHS)
    | keyword("url.query", ["page=1", "b?c", "b"])
    | keyword("source.address", ADDRESSES + NO_ADDRESSES)
    | keyword("event.outcome", ["success", "failure", "unknown"])
    | keyword("event.category", ["web"])
    | keyword("breachline.session", IDS)
    | number("http.response.status_code", [0, 200, 404])
    | number("http.response.body.bytes", [-1, 0, 512])
    | number("breachline.offset", [0, 100])
    | boolean("breachline.late")
    | date("@timestamp")
    | ip("source.ip")
    | exact(IDS + ADDRESSES)
)


def changes():
    """What differs between random access events."""
    return st.fixed_dictionaries(
        {
            "principal": st.sampled_from(["", *IDS]),
            "session": st.sampled_from(["", "5e55", *IDS]),
            "targets": st.lists(st.sampled_from(IDS), max_size=3, unique=True).map(tuple),
            "path": st.sampled_from(PATHS),
            "ip": st.sampled_from(ADDRESSES + NO_ADDRESSES),
            "outcome": st.sampled_from(["proven", "possible", "metadata", "denied", "ignored"]),
            "status": st.sampled_from([0, 200, 404]),
            "bytes": st.sampled_from([-1, 0, 512]),
            "late": st.booleans(),
            "time_ms": st.sampled_from(TIMES_MS),
        }
    )


MESSAGES = [
    "203.0.113.7 claimed 12 user ids in 40 s over 1 session (limit 10 in 5 min)",
    "u-17 read /users/u-18/profile: don't panic, e-mail a.b@example.test",
    "U-17's 3,000 rows; snake_case 1.2.3 x.1 a:b 3a é-Ü",
    "",
]
WORDS = ["u", "17", "U-17", "203.0.113.7", "user ids in", "limit 10", "snake_case", "3,000", "a.b",
         "x.1", "don't panic", "nothing", "rows 3,000", "1.2.3", "É", "example"]  # fmt: skip
LONG = "x" * 1024
EXPLAIN = [{"limit": 5}, {"limit": 5.5, "why": {"deep": ["a", True]}}, {"limit": "5"}, {}]


def text(name):
    value = st.sampled_from(WORDS).map(quoted) | st.sampled_from(["*", "sna*", "20?.*", "U*", "?"])
    return value.map(lambda v: f"{name}:{v}")


def decimals(name):
    pool = st.sampled_from(["0.9", "0.97", "1", "-0.5", "1e3"])
    return (pool | ranges(pool.map(quoted)) | st.just("*")).map(lambda v: f"{name}:{v}")


def flattened(name):
    value = st.sampled_from(["5", "5.5", "true", "a", "*"])
    key = st.sampled_from(["", ".limit", ".why.deep", ".why", ".none"])
    return st.tuples(key, value).map(lambda t: f"{name}{t[0]}:{t[1]}")


DOCUMENT_QUERIES = trees(
    keyword("rule.id", ["canary", "bulk_read"])
    | keyword("related.user", IDS)
    | exact([LONG, LONG + "x"]).map("related.user:{}".format)
    | keyword("breachline.actors", ["ip:203.0.113.7", "principal:u-1"])
    | number("event.severity", [21, 47, 73, 99])
    | boolean("breachline.evidence.masked")
    | date("@timestamp")
    | date("event.start")
    | ip("related.ip")
    | text("message")
    | decimals("breachline.confidence")
    | flattened("breachline.explain")
    | exact([*IDS, *ADDRESSES, *WORDS])
)


def documents():
    """Random documents with a few fields of `fields.DOCUMENTS`, each perhaps missing or a list."""

    def some(pool):
        one = st.sampled_from(pool)
        return one | st.lists(one, max_size=3) | st.none()

    return st.fixed_dictionaries(
        {"@timestamp": st.sampled_from(TIMES_MS).map(iso)},
        optional={
            "event": st.fixed_dictionaries(
                {"severity": some([21, 47, 73, 99]), "start": some([iso(t) for t in TIMES_MS])}
            ),
            "rule": st.fixed_dictionaries({"id": some(["canary", "bulk_read", ""])}),
            "related": st.fixed_dictionaries(
                {}, optional={"user": some([*IDS, LONG, LONG + "x"]), "ip": some(ADDRESSES)}
            ),
            "message": st.sampled_from(MESSAGES),
            "breachline": st.fixed_dictionaries(
                {},
                optional={
                    "actors": some(["ip:203.0.113.7", "principal:u-1"]),
                    "confidence": some([0.9, 0.97, 1, -0.5]),
                    "evidence": st.lists(
                        st.fixed_dictionaries({"masked": st.booleans() | st.none()}), max_size=2
                    ),
                    "explain": st.sampled_from(EXPLAIN),
                },
            ),
        },
    )
