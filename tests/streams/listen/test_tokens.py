import base64

import pytest

from streams.listen.settings import Http
from streams.listen.tokens import Tokens

TOKEN = "t0ken-of-the-tests"
GUARDED = Http(token_env="INTAKE_TOKEN")


def b64(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN} ", True),
        (f"ApiKey {TOKEN}", True),
        (f"ApiKey {b64(f'an-id:{TOKEN}')}", True),
        (f"ApiKey {b64(TOKEN)}", True),
        (f"Basic {b64(f'anyone:{TOKEN}')}", True),
        ("", False),
        ("Bearer", False),
        ("Bearer ", False),
        (f"Bearer {TOKEN}x", False),
        (f"Bearer {TOKEN[:-1]}", False),
        (TOKEN, False),
        (f"Token {TOKEN}", False),
        (f"Basic {b64(f'{TOKEN}:')}", False),
        (f"Basic {b64(TOKEN)}", False),
        ("Basic not-base64!", False),
        ("Basic " + "=" * 100, False),
        ("Bearer \udcff", False),
    ],
)
def test_the_token_as_shippers_can_show_it(authorization, expected):
    assert Tokens(GUARDED, {"INTAKE_TOKEN": f" {TOKEN}\n"}).admit(authorization) is expected


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Basic Og==", "ApiKey ", "Bearer x"])
def test_without_the_token_at_its_place_nobody_is_let_in(authorization):
    assert not Tokens(GUARDED, {}).admit(authorization)
    assert not Tokens(GUARDED, {"INTAKE_TOKEN": "  "}).admit(authorization)


def test_where_no_token_is_configured_all_are_let_in():
    tokens = Tokens(Http(), {})
    tokens.check()
    assert tokens.admit("")


def test_a_rotated_file_is_taken_up(tmp_path):
    file = tmp_path / "token"
    tokens = Tokens(Http(token_file=file), {})
    with pytest.raises(ValueError, match=f"missing or empty: write it into {file}"):
        tokens.check()
    for token in ("first", "second"):
        file.write_text(token + "\n")
        tokens.check()
        assert tokens.admit(f"Bearer {token}")
    assert not tokens.admit("Bearer first")
    file.write_bytes(b"\xff" + TOKEN.encode())
    with pytest.raises(ValueError, match="missing") as error:
        tokens.check()
    assert TOKEN not in str(error.value)


def test_a_missing_variable_is_named():
    with pytest.raises(ValueError, match=r"set \$INTAKE_TOKEN"):
        Tokens(GUARDED, {}).check()
