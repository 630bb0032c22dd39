from console.person import user_name


def test_a_user_whom_the_system_does_not_know_has_a_number(monkeypatch):
    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.setenv("USER", "somebody-else")
    assert user_name() != "somebody-else"
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert user_name().startswith("uid ")
