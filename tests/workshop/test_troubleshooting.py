"""The page of messages: each is one that the code gives, and that a test makes appear."""
import re

import pytest
from conftest import ROOT

PAGE = (ROOT / "workshop" / "troubleshooting.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([^`]+)` \| (.+) \| `([^`]+)` \| `([^`]+)` \|$", PAGE, re.M)


def words(path):
    """A file's text in lower case, as if no string were broken at the end of a line."""
    text = (ROOT / path).read_text(encoding="utf-8").replace('"\n', "").replace("\\", "").lower()
    return re.sub(r'\s*f?"?\s+f?"', " ", re.sub(r"[ \n]+", " ", text)).replace("  ", " ")


def test_every_row_is_read():
    assert len(ROWS) == PAGE.count("\n| `") > 12 and len({row[0] for row in ROWS}) == len(ROWS)
    assert all(len(what) > 10 for _, what, _, _ in ROWS)


@pytest.mark.parametrize("message, source, test", [(row[0], row[2], row[3]) for row in ROWS], ids=[r[0] for r in ROWS])
def test_the_message_is_given_and_tested(message, source, test):
    assert message.lower() in words(source), f"{source} no longer says this"
    assert message.lower() in words(test) or any(part in words(test) for part in halves(message.lower()))


def halves(message):
    """Beginnings and ends of a message that a test may look for: at least three words."""
    parts = message.split(" ")
    return [" ".join(part) for n in range(3, len(parts)) for part in (parts[:n], parts[-n:])]


def test_readers_find_the_page():
    assert "(workshop/troubleshooting.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
