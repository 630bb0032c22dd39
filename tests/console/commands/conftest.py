"""A gateway that the configuration in the working directory names."""

from contextlib import contextmanager

import pytest

from evidence.store import EmbeddedStore
from streams.kafka import dispatch, replica
from tests._gateway import TOKEN, Gateway
from tests.console._deployment import CONFIG, Decider


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


@pytest.fixture
def decider(gateway, tmp_path, monkeypatch):
    """A deployment that answers orders; what it knows is the store in `var`."""
    with (tmp_path / "breachline.yaml").open("a") as file:
        file.write(CONFIG)

    @contextmanager
    def opened(_settings, _environ, *, offline):
        assert not offline
        with EmbeddedStore.open(tmp_path / "var") as store:
            yield store

    made = Decider()
    monkeypatch.setattr(dispatch, "give", made.give)
    monkeypatch.setattr(replica, "opened", opened)
    return made
