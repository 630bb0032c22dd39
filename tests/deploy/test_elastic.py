import urllib.error

import pytest

from deploy import elastic
from evidence.elastic.roles import ROLES
from tests.deploy._double import serving

PASSWORD = "/_security/user/kibana_system/_password"
KEY, WHO = "/_security/api_key", "/_security/_authenticate"
BASIC = "Basic ZWxhc3RpYzplLXNlY3JldA=="
SETS = (f"POST {PASSWORD}", BASIC, {"password": "k-secret"})
WANTS = {"name": "breachline", "role_descriptors": elastic.ROLES}
MAKES = (f"POST {KEY}", BASIC, WANTS)
TRIES = (f"GET {WHO}", "ApiKey old", None)
SET_UPS = {
    "first": (None, 200, [SETS, MAKES], "new"),
    "again": ("old", 200, [SETS, TRIES], "old"),
    "its key was revoked": ("old", 401, [SETS, TRIES, MAKES], "new"),
}


def set_up(tmp_path, held, known):
    (tmp_path / "elastic_password").write_text("e-secret")
    (tmp_path / "kibana_password").write_text("k-secret")
    if held:
        (tmp_path / "api_key").write_text(held)
    answers = {PASSWORD: (200, {}), KEY: (200, {"encoded": "new"}), WHO: (known, {})}
    with serving(answers) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            elastic.set_up(elastic.Elasticsearch(url, None), tmp_path, tmp_path)
        finally:
            asked = server.asked
    return asked, (tmp_path / "api_key").read_text()


@pytest.mark.parametrize(("held", "known", "asked", "kept"), SET_UPS.values(), ids=SET_UPS)
def test_elasticsearch_is_set_up_once(tmp_path, held, known, asked, kept):
    assert set_up(tmp_path, held, known) == (asked, kept)


def test_the_worker_may_do_what_two_of_our_roles_may():
    names = "breachline_writer", "breachline_setup"
    assert {name: ROLES[name] for name in names} == elastic.ROLES


def test_a_key_that_cannot_be_tried_is_kept(tmp_path):
    with pytest.raises(urllib.error.HTTPError) as error:
        set_up(tmp_path, "old", 503)
    error.value.close()
    assert (tmp_path / "api_key").read_text() == "old"
