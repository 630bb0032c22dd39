import ssl

import pytest

from streams.listen._tls import server_context
from tests.streams.listen._certificates import Authority


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def test_senders_need_no_certificate_unless_asked(authority):
    ours = authority.certify("ours")
    assert server_context(ours.certificate, ours.key, None).verify_mode == ssl.CERT_NONE
    asking = server_context(ours.certificate, ours.key, authority.file)
    assert asking.verify_mode == ssl.CERT_REQUIRED
    assert asking.minimum_version == ssl.TLSVersion.TLSv1_2


def test_files_that_cannot_be_used_are_named(authority, tmp_path):
    ours, other = authority.certify("ours"), authority.certify("other")
    hidden = authority.certify("hidden", password=b"secret")
    empty = tmp_path / "empty.pem"
    empty.touch()
    for wrong in [
        (tmp_path / "nowhere.pem", ours.key, None),
        (ours.certificate, other.key, None),
        (hidden.certificate, hidden.key, None),
        (empty, ours.key, None),
        (ours.certificate, ours.key, empty),
    ]:
        with pytest.raises(ValueError, match=r"reading .*name PEM files that belong together"):
            server_context(*wrong)
