"""The results in a message of HL7 v2: by what each is known again, and how far it has come."""

import re

from imports.segments import Message
from imports.standing import CORRECTED, FINAL, PRELIMINARY, WITHDRAWN, Standing, milliseconds
from imports.texts import shown

STATUS = {
    "C": CORRECTED, "D": WITHDRAWN, "F": FINAL, "A": PRELIMINARY, "B": PRELIMINARY, "I": PRELIMINARY,
    "O": PRELIMINARY, "P": PRELIMINARY, "R": PRELIMINARY, "S": PRELIMINARY, "U": FINAL, "V": FINAL,
    "W": WITHDRAWN, "X": CORRECTED,
}  # fmt: skip
"""Of OBX-11 (table 0085) and OBR-25 (table 0123)."""
MARKS = {CORRECTED: "Corrected: ", WITHDRAWN: "Withdrawn: "}
NAME_BYTES = 1_000
_TIME = re.compile(
    r"([0-9]{4})([0-9]{2})?([0-9]{2})?([0-9]{2})?([0-9]{2})?([0-9]{2})?([.][0-9]{1,4})?([+-][0-9]{4})?"
)


def results(message: Message) -> tuple[str, ...]:
    """The names of its results: sender, order and what was observed; never the number of the message.

    The order is the filler's number, else the placer's (OBR-3, OBR-2, or ORC's). Where there is none, a
    result is known by when it was observed and the message that brought it.
    """
    sender = "|".join(message.raw("MSH", field) for field in (3, 4))
    found: dict[str, None] = {}
    order = ""
    observed = dict.fromkeys(("ORC", "OBR", "OBX"), 0)
    for segment in message.order(observed):
        at = observed[segment] = observed[segment] + 1
        if segment == "OBR":
            order = _order(message, at)
            found[f"{sender}|result {order}"] = None
        elif segment == "OBX" and order:
            found.pop(f"{sender}|result {order}", None)
            what = "|".join(message.raw("OBX", field, at) for field in (3, 4))
            found[f"{sender}|result {order}|{what}"] = None
    return tuple(shown(name, NAME_BYTES) for name in found)


def _order(message: Message, at: int) -> str:
    number = next(
        filter(
            None,
            (
                message.raw("OBR", 3, at),
                message.raw("ORC", 3, at),
                message.raw("OBR", 2, at),
                message.raw("ORC", 2, at),
            ),
        ),
        "",
    )
    if not number:
        number = " ".join(
            (message.raw("MSH", 10), message.raw("MSH", 7), message.raw("OBR", 7, at))
        )
    return f"{number}|{message.text('OBR', 4, at=at)}"


def standing(message: Message) -> Standing:
    """How far its results have come, and when the message was made."""
    ranks = [STATUS.get(message.text("OBX", 11, at=at).upper(), 0) for at in _all(message, "OBX")]
    orders = [STATUS.get(message.text("OBR", 25, at=at).upper(), 0) for at in _all(message, "OBR")]
    if (orders and all(rank == WITHDRAWN for rank in orders)) or (
        ranks and all(rank == WITHDRAWN for rank in ranks)
    ):
        rank = WITHDRAWN
    else:  # of which a part is withdrawn, the whole is corrected
        rank = min(max((*ranks, *orders), default=0), CORRECTED)
    return Standing(updated=instant(message.text("MSH", 7)), rank=rank)


def mark_of(standing: Standing) -> str:
    """What stands before the title of a record whose results are not as they were first sent."""
    return MARKS.get(standing.rank, "")


def instant(text: str) -> int:
    """A time as HL7 writes it, to the second at least, Unix ms; 0 for anything else."""
    found = _TIME.fullmatch(text)
    if found is None or found[5] is None:
        return 0
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    zone = f"{zone[:3]}:{zone[3:]}" if zone else ""
    milli = f"{fraction[1:]:0<3}"[:3] if fraction else "000"
    return milliseconds(f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}.{milli}{zone}")


def _all(message: Message, segment: str) -> range:
    return range(1, message.count(segment) + 1)
