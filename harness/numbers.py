"""Telephone numbers of nobody: each area code sets 555-0100 to 555-0199 aside for fiction."""

from collections.abc import Iterator

LINES_PER_AREA = 100


def _is_geographic(code: int) -> bool:
    """Tell a place's area code from a service's: only the former's 555-01XX is set aside as a whole."""
    text = str(code)
    # 911, 800, 888, 900 …: two equal last digits mark a service. 880 to 889 are held for toll-free numbers,
    # where only one number of the hundred is set aside. A middle 9 is kept for longer numbers to come.
    return text[1] != text[2] and text[1] != "9" and not text.startswith("88")


AREA_CODES = tuple(code for code in range(200, 1000) if _is_geographic(code))
CAPACITY = len(AREA_CODES) * LINES_PER_AREA


class TooManyNumbers(ValueError):
    """More numbers were asked for than are reserved for fiction."""

    def __init__(self, asked: int) -> None:
        super().__init__(asked)
        self.asked = asked

    def __str__(self) -> str:
        return (
            f"{self.asked:,} telephone numbers were asked for, more than are reserved for fiction: "
            f"ask for at most {CAPACITY:,}."
        )


def number(index: int) -> str:
    """Return the number at a place of the fixed order, in E.164; raise IndexError beyond it."""
    area, line = divmod(range(CAPACITY)[index], LINES_PER_AREA)
    return f"+1{AREA_CODES[area]}55501{line:02d}"


def numbers(count: int) -> Iterator[str]:
    """Return the first ``count`` numbers, all distinct; raise TooManyNumbers beyond ``CAPACITY``."""
    if count > CAPACITY:
        raise TooManyNumbers(count)
    return map(number, range(count))
