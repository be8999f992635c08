"""How large a text is, in bytes, told without encoding it wherever its length says enough."""

from hypothesis import given
from hypothesis import strategies as st

from edge_server.frames import is_larger


@given(st.text(st.sampled_from("aé€😀\ud83d"), max_size=20), st.integers(0, 90))
def test_a_text_is_larger_than_so_many_bytes_exactly_where_its_utf_8_is(text: str, most: int) -> None:
    assert is_larger(text, most) is (len(text.encode(errors="surrogatepass")) > most)
