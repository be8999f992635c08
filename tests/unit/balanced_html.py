"""Pages whose elements end in the order in which they began, reversed."""

from html.parser import HTMLParser

VOID = {"meta", "link", "rect", "line", "polyline", "br"}
"""What HTML lets stand without an end, or SVG ends within its own tag."""


class Balanced(HTMLParser):
    """Fails where an element is not ended in its turn, but for those that ``may_stay_open``."""

    def __init__(self, *may_stay_open: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self._unheeded = VOID | set(may_stay_open)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self._unheeded:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in self._unheeded or self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
