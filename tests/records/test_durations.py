import pytest
from pydantic import BaseModel, ValidationError

from records.durations import Seconds, parse_duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("90", 90),
        ("1.5h", 5400),
        (" 5 m ", 300),
    ],
)
def test_a_duration_is_read_as_seconds(text, seconds):
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "5 minutes", "-5m", "5x", "1h30m", "PT5M"])
def test_anything_else_is_refused_with_what_to_write(text):
    with pytest.raises(ValueError, match="write 30s, 5m, 1h, 7d or seconds"):
        parse_duration_s(text)


def test_what_is_no_text_is_pydantics_to_judge():
    class Window(BaseModel):
        window: Seconds

    assert Window.model_validate({"window": 90}).window == 90
    assert Window.model_validate({"window": "5m"}).window == 300
    with pytest.raises(ValidationError):
        Window.model_validate({"window": ["5m"]})
