import pytest
from pydantic import TypeAdapter, ValidationError

from streams.hostport import HostPort

ADAPTER = TypeAdapter(HostPort)


@pytest.mark.parametrize("text", ["127.0.0.1:8642", "kafka-1.internal:9092", "[::1]:9092", "a:0"])
def test_what_fits(text):
    assert ADAPTER.validate_python(text) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("127.0.0.1", "is not host:port"),
        (":9092", "is not host:port"),
        ("a:port", "is not host:port"),
        ("a:70000", "is not host:port"),
        ("::1:9092", "stands in brackets"),
        ("[192.0.2.300]:9092", "does not appear to be an IPv4 or IPv6"),
    ],
)
def test_what_does_not(text, says):
    with pytest.raises(ValidationError, match=says):
        ADAPTER.validate_python(text)
