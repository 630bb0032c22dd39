from streams.listen.configured import configured
from streams.listen.inbox import Inbox
from streams.listen.settings import ListenSettings


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
