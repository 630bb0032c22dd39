"""A gateway that the configuration in the working directory names."""

import pytest

from tests._gateway import TOKEN, Gateway


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    """A gateway, and the configuration of it in the working directory."""
    monkeypatch.setenv("GATEWAY_TOKEN", TOKEN)
    with Gateway() as opened:
        (tmp_path / "breachline.yaml").write_text(
            "respond:\n"
            f'  gateway: {{url: "{opened.url}", token_env: GATEWAY_TOKEN}}\n'
            "  never_block: [{cidr: 192.0.2.0/24, reason: head office}]\n"
        )
        yield opened
