"""Tokens are made with the deployment's secret, or read from a file; neither is an error that says so."""

import time
from pathlib import Path

import jwt
import pytest

from loadtest.tokens import open_tokens

SECRET = "a secret of a test, longer than 32 bytes"
UP = "up201906045"


def test_with_the_secret_anybody_gets_a_token_that_expires() -> None:
    source = open_tokens(None, {"TOKEN_SECRET": SECRET}, lasts_s=48 * 3600)
    claims = jwt.decode(source.token(UP), SECRET, algorithms=["HS256"], options={"require": ["exp"]})
    assert claims["sub"] == UP
    assert claims["exp"] > time.time() + 47 * 3600
    assert source.ups == ()


def test_a_file_names_its_students_and_their_tokens(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("UP201906045 abc\n\nup201906046 def\n")
    source = open_tokens(tmp_path / "tokens", {})
    assert source.ups == (UP, "up201906046")
    assert source.token(UP) == "abc"
    with pytest.raises(ValueError, match="up000000001"):
        source.token("up000000001")


def test_a_file_as_windows_saves_it_names_its_students_too(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_bytes(b"\xef\xbb\xbfup201906045 abc\r\nup201906046 def\r\n")
    assert open_tokens(tmp_path / "tokens", {}).ups == (UP, "up201906046")


@pytest.mark.parametrize("text", ["", "up201906045\n", "up201906045 a b\n"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokens").write_text(text)
    with pytest.raises(ValueError, match="a UP number and a token"):
        open_tokens(tmp_path / "tokens", {})


def test_without_secret_and_file_it_says_what_is_needed() -> None:
    with pytest.raises(ValueError, match="TOKEN_SECRET"):
        open_tokens(None, {})
