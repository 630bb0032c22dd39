from datetime import date
from pathlib import Path

import pytest

from streams.settings import ConfigError, Kafka, Settings, load

CONTRACT = """\
intake:
  trusted_proxies: [10.0.0.0/8]          # forwarding headers are believed only from these, right to left
  trust: {principal: gateway}             # the owner of this log vouches for its principal (JUDGEMENT: provenance)
  fields:                                 # dotted path in a JSON record, only what differs from the defaults
    client_ip: client.ip
    principal: user.id                    # a field named here has provenance gateway
    claimed_user: http.request.headers.x-user-id
    session: session.id                   # or a token: kept as a keyed digest, never as itself
    authorization: http.request.headers.authorization
    jwt_payload: jwt_payload_b64          # only the payload segment, as gateways that avoid logging tokens write it
    target_user: labels.resource_owner    # the owner that the service logged
    tenant: organization.id
    context_error: labels.security_context_error
  jwt: {claim: sub, jwks: keys.json}
  identity_headers: [{name: X-User-ID, honoured: unknown}]     # unknown | always | never
  internal_headers: []                    # headers that nobody outside may send
  identities: {file: people.csv}          # columns id,user: every id of a person -> one canonical user
  routes:                                 # first match wins; {owner}, {object}, {tenant}; also in query names
    - {match: "/api/v1/wallets/{owner}/**", category: financial}
    - {match: "/api/v1/orders/{object}", category: orders, owner: [buyer_id, seller_id]}
    - {match: "/api/v1/profiles/{owner}/avatar", public: true}
  ownership:                              # whose object is it? access logs rarely say
    - {route: "/api/v1/orders/{object}", file: owners.csv, object: order_id, owner: user_id}
    - {route: "/api/v1/cards/{object}", http: "https://cards.internal/owners/{object}"}
    - {route: "/api/v1/notes/{object}", learn: true}
  sensitive: [wallet, balance, transactions]   # path words that are sensitive without a route
  service_accounts: [{id: batch-reports, from: [198.18.0.0/15], routes: ["/api/v1/accounts/**"]}, health]
  delegates: [support-*]
  grants: {file: grants.csv}              # principal,owner,routes,from,until
canaries: {ids: [u-00000001]}
detect: {identity_fanout: {limit: 10, window: 5m, enabled: true, mode: simulate}}    # any rule.id
data_dir: ./var                          # embedded store, history, checkpoints, keys
respond:
  mode: simulate                         # simulate | approval | enforce, also per rule and per enforcement point
  gateway: {url: "http://127.0.0.1:9000", token_env: GATEWAY_TOKEN}
  never_block: [{cidr: 192.0.2.0/24, reason: head office, until: 2027-01-01}]
kafka: {brokers: ["127.0.0.1:9092"], prefix: "breachline.", session_timeout_s: 10}   # with sasl and tls blocks
elasticsearch: {hosts: ["http://127.0.0.1:9200"], api_key_file: null, ca_file: null}
console: {listen: "127.0.0.1:8642"}
"""  # noqa: E501  the contract's own words


def write(folder, text, name="breachline.yaml"):
    (folder / name).write_text(text)
    return folder / name


def problems_of(folder, text):
    write(folder, text)
    with pytest.raises(ConfigError) as error:
        load(None, {}, folder)
    return error.value.problems


def test_the_contracts_example_loads_as_it_is_written(tmp_path):
    for name in ("people.csv", "owners.csv", "grants.csv", "keys.json"):
        (tmp_path / name).touch()
    write(tmp_path, CONTRACT)
    settings, path, warnings = load(None, {}, tmp_path)
    assert path == tmp_path / "breachline.yaml"
    assert warnings == ()
    intake, respond = settings.intake, settings.respond
    assert intake.trusted_proxies == ["10.0.0.0/8"]
    assert intake.identities is not None
    assert intake.identities.file == tmp_path / "people.csv"
    assert intake.ownership[0].file == tmp_path / "owners.csv"
    assert intake.jwt.jwks == tmp_path / "keys.json"
    assert [account.id for account in intake.service_accounts] == ["batch-reports", "health"]
    assert settings.detect == {
        "identity_fanout": {"limit": 10, "window": "5m", "enabled": True, "mode": "simulate"}
    }
    assert settings.data_dir == tmp_path / "var"
    assert respond.mode == "simulate"
    assert respond.gateway is not None
    assert (respond.gateway.url, respond.gateway.token_env) == (
        "http://127.0.0.1:9000",
        "GATEWAY_TOKEN",
    )
    assert [(n.cidr, n.reason, n.until) for n in respond.never_block] == [
        ("192.0.2.0/24", "head office", date(2027, 1, 1))
    ]
    assert settings.kafka == Kafka(brokers=["127.0.0.1:9092"])
    assert settings.elasticsearch is not None
    assert settings.elasticsearch.hosts == ["http://127.0.0.1:9200"]
    assert settings.console.listen == "127.0.0.1:8642"


def test_without_a_file_the_defaults_hold(tmp_path):
    assert load(None, {}, tmp_path) == (Settings(data_dir=tmp_path / "var"), None, ())


@pytest.mark.parametrize(
    ("named", "variable", "expected"),
    [
        ("a.yaml", "b.yaml", "a"),
        (None, "b.yaml", "b"),
        (None, "", "c"),
        (None, None, "c"),
    ],
)
def test_which_file_counts(tmp_path, named, variable, expected):
    for letter, name in (("a", "a.yaml"), ("b", "b.yaml"), ("c", "breachline.yaml")):
        write(tmp_path, f"intake: {{sensitive: [{letter}]}}", name)
    env = {} if variable is None else {"BREACHLINE_CONFIG": variable}
    loaded = load(Path(named) if named else None, env, tmp_path)
    assert loaded.settings.intake.sensitive == [expected]


@pytest.mark.parametrize(
    ("path", "env", "expected"),
    [
        (Path("no.yaml"), {}, "no.yaml: no such configuration file (--config): "),
        (
            None,
            {"BREACHLINE_CONFIG": "no.yaml"},
            ("no.yaml: no such configuration file (BREACHLINE_CONFIG): "),
        ),
        (Path(), {}, ".: is a directory (--config): name the YAML file"),
    ],
)
def test_a_file_that_was_named_must_be_there(tmp_path, path, env, expected):
    write(tmp_path, "")
    with pytest.raises(ConfigError) as error:
        load(path, env, tmp_path)
    (problem,) = error.value.problems
    assert problem.startswith(expected)


def test_paths_are_relative_to_the_file_that_names_them(tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "people.csv").touch()
    (folder / "ca.pem").touch()
    text = (
        "intake: {identities: {file: people.csv}}\ndata_dir: state\n"
        "elasticsearch: {hosts: ['http://127.0.0.1:9200'], ca_file: ca.pem}\n"
    )
    settings = load(write(folder, text), {}, tmp_path).settings
    assert settings.intake.identities is not None
    assert settings.elasticsearch is not None
    assert settings.intake.identities.file == folder / "people.csv"
    assert settings.elasticsearch.ca_file == folder / "ca.pem"
    assert settings.data_dir == folder / "state"
    # Where the file says nothing, data stays where one works.
    other = load(write(folder, "history: {enabled: false}"), {}, tmp_path).settings
    assert other.data_dir == tmp_path / "var"


@pytest.mark.parametrize("text", ["", "# nothing\n", "intake:\nrespond:\n"])
def test_empty_files_and_empty_blocks_are_the_defaults(tmp_path, text):
    write(tmp_path, text)
    settings, path, warnings = load(None, {}, tmp_path)
    assert settings == Settings(data_dir=tmp_path / "var")
    assert path == tmp_path / "breachline.yaml"
    empty = ("breachline.yaml: the file is empty; the defaults hold",)
    assert warnings == (() if text.startswith("intake") else empty)


def test_everything_that_is_wrong_is_said_at_once_in_the_order_of_the_file(tmp_path):
    text = """\
intak: {}
intake:
  trusted_proxies: [10.0.0.0/33]
  identity_headers: [{name: X-User-ID, honoured: maybe}]
  fields: {client-ip: a}
canaries: {ids: [12345, 017]}
canaries: {ids: []}
respond:
  mode: enfroce
  never_block: [{cidr: 192.0.2.0/24, until: hello}]
  gateway: {url: "http://u:p@x", token: hunter2}
elasticsearch: {hosts: ["http://user:hunter3@127.0.0.1"]}
history: {max_bytes: 10XB, enabled: 7, max_age: soon}
kafka: {sasl: {username: a, password_env: A, password_file: b}}
console: {listen: 8642}
detect: {identity_fanuot: {}, canary: {limt: 5}}
"""
    problems = problems_of(tmp_path, text)
    assert [problem.removeprefix("breachline.yaml:") for problem in problems] == [
        "1:1: intak: unknown key 'intak': did you mean 'intake'?",
        (
            "3:21: intake.trusted_proxies[0]: '10.0.0.0/33' does not appear to be an "
            "IPv4 or IPv6 network: write an address or a network such as 10.0.0.0/8"
        ),
        (
            "4:50: intake.identity_headers[0].honoured: not allowed here: write "
            "'unknown', 'always' or 'never'"
        ),
        ("5:12: intake.fields.client-ip: unknown key 'client-ip': did you mean 'client_ip'?"),
        ('6:18: canaries.ids[0]: YAML reads this as no text: put it in quotes, "..."'),
        ('6:25: canaries.ids[1]: YAML reads this as no text: put it in quotes, "..."'),
        "7:1: canaries: this key stands twice, first in line 6: remove one",
        ("9:9: respond.mode: not allowed here: write 'simulate', 'approval' or 'enforce'"),
        (
            "10:45: respond.never_block[0].until: write a date or time such as "
            "2027-01-01 or 2027-01-01T12:00:00Z"
        ),
        (
            "11:18: respond.gateway.url: take user and password out of the URL, and "
            "use token_env or token_file"
        ),
        ("11:34: respond.gateway.token: unknown key 'token': did you mean 'token_env'?"),
        (
            "12:25: elasticsearch.hosts[0]: take user and password out of the URL, "
            "and use api_key_file"
        ),
        ("13:22: history.max_bytes: '10XB' is not a size: write 500MB, 10GB or bytes"),
        "13:37: history.enabled: write true or false",
        ("13:49: history.max_age: 'soon' is not a duration: write 30s, 5m, 1h, 7d or seconds"),
        "14:8: kafka.brokers: this key is missing; add it",
        ('15:19: console.listen: YAML reads this as no text: put it in quotes, "..."'),
        (
            "16:10: detect.identity_fanuot: there is no rule 'identity_fanuot': did "
            "you mean 'identity_fanout'?"
        ),
        "16:40: detect.canary.limt: unknown key 'limt': did you mean 'limit'?",
    ]
    assert "hunter" not in "\n".join(problems)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "a text for a block",
            "intake: yes please",
            "1:9: intake: write a block of key: value",
        ),
        (
            "one for a list",
            "intake: {delegates: a}",
            ("1:21: intake.delegates: write a list: [one, two]"),
        ),
        (
            "a number for a switch",
            "history: {enabled: often}",
            ("1:20: history.enabled: write true or false"),
        ),
        (
            "nothing like it",
            "zzz: 1",
            (
                "1:1: zzz: unknown key 'zzz': write one of canaries, capture, "
                "console, data_dir, detect, elasticsearch, history, intake, kafka, ledger, "
                "listen, metrics, respond"
            ),
        ),
        (
            "a key within a list",
            "intake: {routes: [{match: /a, cat: b}]}",
            "1:31: intake.routes[0].cat: unknown key 'cat': did you mean 'category'?",
        ),
        (
            "what an alias is called",
            "intake: {service_accounts: [{id: a, form: []}]}",
            "1:37: intake.service_accounts[0].form: unknown key 'form': did you mean 'from'?",
        ),
        (
            "a route without its slash",
            "intake: {routes: [{match: a}]}",
            "1:27: intake.routes[0].match: route 'a' must begin with /",
        ),
        (
            "too small",
            "history: {max_age: -5}",
            "1:20: history.max_age: Input should be greater than 0",
        ),
        (
            "two kinds of source",
            "intake: {ownership: [{route: '/a/{object}', learn: true, http: 'http://a/{object}'}]}",
            "1:22: intake.ownership[0]: give exactly one of file, http and learn: true",
        ),
        (
            "no source",
            "intake: {ownership: [{route: '/a/{object}'}]}",
            "1:22: intake.ownership[0]: give exactly one of file, http and learn: true",
        ),
        (
            "two passwords",
            "kafka: {brokers: ['a:1'], sasl: {username: a}}",
            "1:33: kafka.sasl: give one of password_env and password_file",
        ),
        (
            "an IPv6 address without brackets",
            "console: {listen: '::1:80'}",
            "1:19: console.listen: '::1:80': an IPv6 address stands in brackets, like [::1]:8642",
        ),
        (
            "a port too high",
            "console: {listen: 'a:70000'}",
            "1:19: console.listen: 'a:70000' is not host:port: write it like 127.0.0.1:8642",
        ),
        (
            "not a web address",
            "elasticsearch: {hosts: [127.0.0.1]}",
            (
                "1:25: elasticsearch.hosts[0]: not an http or https URL: write http://host:port or "
                "https://host"
            ),
        ),
        (
            "an unknown rule's mode",
            "respond: {rules: {canry: enforce}}",
            "1:19: respond.rules.canry: there is no rule 'canry': did you mean 'canary'?",
        ),
        (
            "a rule that is no block",
            "detect: {canary: 7}",
            "1:18: detect.canary: write a block of key: value",
        ),
        (
            "a wrong limit",
            "detect: {canary: {limit: many}}",
            "1:26: detect.canary.limit: write a whole number",
        ),
    ],
)
def test_one_mistake(tmp_path, name, text, expected):
    assert problems_of(tmp_path, text) == [f"breachline.yaml:{expected}"], name


def test_files_that_are_missing_are_said_beside_other_mistakes(tmp_path):
    (tmp_path / "folder").mkdir()
    text = (
        "intake:\n  identities: {file: no.csv}\n  grants: {file: folder}\n"
        "  ownership: [{route: '/a/{object}', file: none.csv}]\nrespond: {mode: of}\n"
    )
    missing = "no such file: create it, or correct the path (relative to this configuration)"
    assert problems_of(tmp_path, text) == [
        f"breachline.yaml:2:22: intake.identities.file: {tmp_path}/no.csv: {missing}",
        f"breachline.yaml:3:18: intake.grants.file: {tmp_path}/folder: is a directory: name a file",
        f"breachline.yaml:4:44: intake.ownership[0].file: {tmp_path}/none.csv: {missing}",
        (
            "breachline.yaml:5:17: respond.mode: not allowed here: write 'simulate', 'approval' or "
            "'enforce'"
        ),
    ]


def test_rules_of_other_versions_are_accepted_with_a_warning(tmp_path):
    write(tmp_path, "detect: {anomaly: {share: 0.1}}\nrespond: {rules: {bulk_read: approval}}\n")
    settings, _, warnings = load(None, {}, tmp_path)
    assert settings.detect == {"anomaly": {"share": 0.1}}
    assert settings.respond.rules == {"bulk_read": "approval"}
    assert warnings == (
        "breachline.yaml:1:10: detect.anomaly: rule anomaly is not in this version",
        "breachline.yaml:2:19: respond.rules.bulk_read: rule bulk_read is not in this version",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500", 500), ("500B", 500), ("10GB", 10_000_000_000), ("1 GiB", 1_073_741_824),
        ("20 mb", 20_000_000),
    ],
)  # fmt: skip
def test_sizes(tmp_path, text, expected):
    write(tmp_path, f"history: {{max_bytes: {text}, max_age: 7d}}")
    history = load(None, {}, tmp_path).settings.history
    assert (history.max_bytes, history.max_age) == (expected, 604_800)


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        Settings().data_dir = Path("x")


def test_routes_of_an_openapi_file_come_after_ones_own(tmp_path):
    (tmp_path / "api.yaml").write_text("paths: {'/cards/{userId}': {get: {}}}")
    (tmp_path / "breachline.yaml").write_text(
        "intake: {openapi: api.yaml, routes: [{match: '/orders/{object}'}]}"
    )
    settings = load(None, {}, tmp_path).settings
    assert [rule.match for rule in settings.intake.routes] == [
        "/orders/{object}",
        "/cards/{owner}",
    ]


def test_an_openapi_file_that_is_none_is_said(tmp_path):
    (tmp_path / "api.yaml").write_text("notes: []")
    (tmp_path / "breachline.yaml").write_text("intake: {openapi: api.yaml}")
    with pytest.raises(ConfigError) as caught:
        load(None, {}, tmp_path)
    (problem,) = caught.value.problems
    assert problem.startswith("breachline.yaml:1:19: intake.openapi: reading ")
    assert "no OpenAPI document" in problem
