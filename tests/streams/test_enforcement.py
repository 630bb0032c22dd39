import asyncio

import pytest

from responders._base import Fault
from streams.enforcement import gateway_of
from streams.settings import Settings
from tests._gateway import TOKEN, Gateway


def settings_for(**gateway):
    return Settings.model_validate({"respond": {"gateway": gateway}} if gateway else {})


def listed(settings, environ):
    async def ask():
        async with gateway_of(settings, environ) as gateway:
            return None if gateway is None else await gateway.listed(0)

    return asyncio.run(ask())


def test_without_configuration_there_is_none():
    assert listed(settings_for(), {}) is None


def test_the_configured_gateway_answers_with_its_token():
    with Gateway() as gateway:
        gateway.blocked.append("203.0.113.7")
        settings = settings_for(url=gateway.url, token_env="GATEWAY_TOKEN")
        assert listed(settings, {"GATEWAY_TOKEN": TOKEN}) == {"203.0.113.7"}
        refused = listed(settings, {"GATEWAY_TOKEN": "synthetic-other"})
        missing = listed(settings, {})
    assert isinstance(refused, Fault)
    assert refused.status == 401
    assert isinstance(missing, Fault)
    assert "the token is missing" in missing.detail


def test_a_certificate_file_that_holds_none_is_said(tmp_path):
    (tmp_path / "ca.pem").write_text("nonsense")
    settings = settings_for(url="https://127.0.0.1:1", ca_file=tmp_path / "ca.pem")
    with pytest.raises(ValueError, match="no certificate in PEM form"):
        listed(settings, {})
