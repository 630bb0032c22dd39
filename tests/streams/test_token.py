import pytest
from pydantic import SecretStr

from responders.settings import GatewaySettings
from streams.token import token_reader
from tests._gateway import TOKEN


def test_token_from_the_environment():
    settings = GatewaySettings(url="http://127.0.0.1:9", token_env="GATEWAY_TOKEN")
    environ = {"GATEWAY_TOKEN": f" {TOKEN}\n"}
    read = token_reader(settings, environ)
    assert read() == SecretStr(TOKEN)
    environ["GATEWAY_TOKEN"] = ""
    with pytest.raises(LookupError, match="set \\$GATEWAY_TOKEN and restart"):
        read()


def test_token_from_a_file_that_is_rotated(tmp_path):
    file = tmp_path / "token"
    read = token_reader(GatewaySettings(url="http://127.0.0.1:9", token_file=file), {})
    with pytest.raises(LookupError, match="cannot be read or is empty"):
        read()
    file.write_bytes(TOKEN.encode() + b"\xff")
    with pytest.raises(LookupError) as raised:
        read()
    assert TOKEN not in repr(raised.value)
    file.write_text("one\n")
    assert read() == SecretStr("one")
    file.write_text("two\n")
    assert read() == SecretStr("two")


def test_no_token_is_configured():
    assert token_reader(GatewaySettings(url="http://127.0.0.1:9"), {})() is None
