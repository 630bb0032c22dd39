from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from streams.listen.configured import configured, receiving
from streams.listen.inbox import Inbox
from streams.listen.settings import ListenSettings
from tests.streams.listen._served import until


def test_every_listener_that_is_configured(tmp_path):
    settings = ListenSettings.model_validate(
        {
            "http": {"token_env": "T"},
            "syslog": [{"address": "127.0.0.1:5514"}, {"address": "[::1]:6514", "protocol": "tcp"}],
            "journald": {"units": ["caddy.service", "api.service"]},
        }
    )
    assert configured(settings, Inbox(1), {}, tmp_path).says == [
        "HTTP on 127.0.0.1:8088",
        "syslog over UDP on 127.0.0.1:5514",
        "syslog over TCP on [::1]:6514",
        "the journal of caddy.service, api.service",
    ]
    assert configured(ListenSettings(), Inbox(1), {}, tmp_path).says == []


def test_who_waits_when_it_ends_is_told_so(tmp_path):
    settings = ListenSettings.model_validate({"http": {"address": "127.0.0.1:0"}})
    with ThreadPoolExecutor(1) as pool:
        with receiving(settings, {}, tmp_path) as (inbox, listeners):
            (says,) = listeners.says
            url = f"http://{says.removeprefix('HTTP on ').partition(',')[0]}/lines"
            waiting = pool.submit(httpx.post, url, content=b"a line\n")
            until(lambda: inbox.held_bytes)
        assert waiting.result(20).status_code == 503
    with pytest.raises(httpx.ConnectError):
        httpx.post(url, content=b"a line\n")
