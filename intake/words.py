"""The words of paths and queries, and what looks like an id among them (JUDGEMENT: default routes).

In: one path segment or parameter name. Out: whether it is an id, and of whom. Pure tables; every
expression here MUST stay linear in the segment: it is the attacker's text.
"""

import re

OWNER_WORDS = frozenset("users user members member profiles profile".split())
"""`/users/{owner}`: the ids below these words are users'."""

SELF_WORDS = frozenset("me self current my mine".split())
"""These name no owner: whoever asks."""

OWNER_QUERY = frozenset("id ids user_id user_ids userid userids uid uids".split())
"""Below an owner word (`/users?ids=1,2`) these list owners."""

LOOK_WORDS = frozenset("view get show detail details info lookup fetch find edit".split())
"""Between an owner word and such a query they change nothing: `/user/view?id=7`."""

CANDIDATE_QUERY = frozenset(
    "user user_id user_ids userid userids uid uids owner owner_id ownerid member member_id "
    "memberid customer customer_id customerid account account_id accountid profile_id profileid "
    "client_id subject_id person_id patient_id employee_id tenant_user".split()
)
"""Elsewhere these hold ids of unknown owner, until learned or configured."""

QUERY_MARKS = re.compile("id|user|owner|member|customer|account|[%#]", re.IGNORECASE)
"""A query without any of these names none of the above."""

_CATEGORIES = {
    "financial": "wallet wallets balance balances transaction transactions payment payments card "
    "cards iban invoice invoices transfer transfers payout payouts billing loan loans statement "
    "statements deposit deposits withdrawal withdrawals salary payroll",
    "credential": "password passwords credential credentials mfa otp 2fa pin secret secrets "
    "api-keys apikeys recovery security-questions",
    "health": "health medical patient patients prescription prescriptions diagnosis diagnoses",
    "identity": "passport passports kyc identity ssn documents document",
    "contact": "profile profiles address addresses email emails phone phones contact contacts",
    "orders": "order orders purchase purchases cart carts shipment shipments",
    "messages": "message messages inbox chat chats notifications mail mails",
    "location": "location locations trips trip rides ride",
}
CATEGORY_WORDS = {word: name for name, words in _CATEGORIES.items() for word in words.split()}
CATEGORY_RANK = {name: rank for rank, name in enumerate(_CATEGORIES)}

NOT_NAMES = frozenset(
    "about account accounts action actions activate active activity add address addresses admin "
    "all anonymous api archive auth avatar avatars balance bank batch billing bulk calendar cart "
    "check checkout comments completed config confirm contact contacts count create credentials "
    "dashboard default delete deleted details devices directory disable documents download edit "
    "email emails enable events exists export favorites favourites feed feedback files filter "
    "find followers following friends get group groups guest health help history home image "
    "images import inactive inbox index info invitations invite invites invoices list login "
    "logout lookup manage members messages metrics mfa new notifications null oauth online orders "
    "overview page password payment payments permissions phone photo photos picture ping posts "
    "preferences privacy profile profiles public query recent recover refresh register report "
    "reports requests reset resources role roles save search security session sessions set "
    "settings share show signin signout signup stats status subscriptions suggest suggestions "
    "summary support tags team teams test token tokens top transactions undefined unknown "
    "unsubscribe update upload user username users validate verify view wallet wallets welcome "
    "wishlist".split()
)
"""Words that stand below `/users/` on many services and are nobody's name."""

_SCRIPT = frozenset("php asp aspx ashx jsp jspx do action cgi pl cfm json xml html htm".split())
"""`/profile.php?id=7` is `/profile?id=7`."""
_DATA = _SCRIPT | frozenset("csv pdf txt xls xlsx vcf rss atom yaml yml".split())
"""`/users/18.json` is user 18."""
_FILE = frozenset(
    "js mjs cjs css map png jpg jpeg gif svg ico webp avif bmp woff woff2 ttf otf eot mp3 mp4 webm "
    "wasm zip gz tgz tar bak sql env ini log old swp git conf".split()
)
"""What ends in these is a file of the site, or a scanner's guess at one."""

LONGEST_ID = 64
"""Longer segments are tokens, unless they are numbers or e-mail addresses."""

_DATE = re.compile(r"(?:19|20)\d\d-\d\d?(?:-\d\d?)?|(?:19|20)\d\d[01]\d[0-3]\dT\w*")
_VERSION = re.compile(r"v\d+(?:[._]\d+)*(?:(?:alpha|beta|rc)\d*)?", re.IGNORECASE)
_TECHNICAL = frozenset(
    "oauth1 oauth2 openid2 saml2 sha1 sha256 sha512 md5 base64 utf8 mp3 mp4 h264 html5 css3 http2 "
    "http3 ipv4 ipv6 s3 ec2 k8s i18n l10n a11y 2fa 3ds 3d 2d p2p b2b b2c web3 x509 log4j es6 es5 "
    "es-419 1x 2x 3x".split()
)
_STRONG = re.compile(
    r"(?:urn:uuid:)?\{?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?"
    r"|[0-9a-f]{16,64}"
    r"|[0-7][0-9A-HJKMNP-TV-Z]{25}"
    r"|[^@\s/,]+@[^@\s/,]+\.[A-Za-z]{2,}",
    re.IGNORECASE,
)
"""Ids wherever they stand."""
_WEAK = re.compile(
    r"[A-Za-z]{1,16}[-_:|]?(?=[A-Za-z]*\d)[0-9A-Za-z]+|\d[\w~:|-]*|(?=[\w~:|-]*\d)[\w~:|-]{8,}"
)
"""Ids below a word that says of what."""
_NAME = re.compile(r"[\w.~@+-]{2,64}")


def stem_of(segment: str) -> str:
    """The segment without an extension that only says how it is written (`18.json`)."""
    stem, dot, extension = segment.rpartition(".")
    return stem if dot and stem and extension.lower() in _DATA else segment


def word_of(segment: str) -> str:
    """A static segment as a word of the tables: lower case, `profile.php` is `profile`."""
    word = segment.lower()
    if "." in word:
        stem, _, extension = word.rpartition(".")
        if stem and extension in _SCRIPT:
            return stem
    return word


def is_token(segment: str) -> bool:
    """Whether this is too long for an id, or a JWT: not to be kept as a route or an object."""
    if segment.startswith("eyJ") and len(segment) > 16:
        return True
    return len(segment) > LONGEST_ID and "@" not in segment and not segment.isdigit()


def is_owner_id(segment: str) -> bool:
    """Whether a segment directly below an owner word is an id: anything with a digit or an @.

    Not versions, dates, technical words and files of the site; and not `+` or `-` alone.
    """
    if segment.isdigit():
        return True
    if not ("@" in segment or any(map(str.isdigit, segment))):
        return False
    return not (_is_file(segment) or _is_term(segment))


def is_id(segment: str, *, first: bool) -> bool:
    """Whether a segment elsewhere is an id. `first`: it stands at the beginning of the path."""
    if segment.isdigit() or _STRONG.fullmatch(segment):
        return True
    if segment[:1] in "+ " and segment.strip(" +").isdigit():
        return True
    return not first and _WEAK.fullmatch(segment) is not None and not _is_term(segment)


def may_be_name(segment: str) -> bool:
    """Whether a segment below an owner word may be somebody's user name."""
    return (
        segment.lower() not in NOT_NAMES
        and _NAME.fullmatch(segment) is not None
        and not _is_file(segment)
        and not _is_term(segment)
    )


def _is_term(segment: str) -> bool:
    return (
        _VERSION.fullmatch(segment) is not None
        or _DATE.fullmatch(segment) is not None
        or segment.lower() in _TECHNICAL
    )


def _is_file(segment: str) -> bool:
    return segment.rpartition(".")[2].lower() in _FILE and "." in segment
