"""What the path of a route names, by the name between its braces: ids of one kind each."""

from typing import Annotated, Any

from fastapi import Path

from client.operations import ACCOUNT, GROUP, HOSPITAL, PATIENT, RECORD
from crypto.ids import ID_PATTERN

Account = Annotated[str, Path(pattern=f"^ac_{ID_PATTERN}$", examples=[ACCOUNT])]
Group = Annotated[str, Path(pattern=f"^gp_{ID_PATTERN}$", examples=[GROUP])]
Hospital = Annotated[str, Path(pattern=f"^hs_{ID_PATTERN}$", examples=[HOSPITAL])]
Patient = Annotated[str, Path(pattern=f"^pt_{ID_PATTERN}$", examples=[PATIENT])]
Record = Annotated[str, Path(pattern=f"^rc_{ID_PATTERN}$", examples=[RECORD])]
NAMED: dict[str, Any] = {
    "account": Account, "group": Group, "hospital": Hospital, "patient": Patient, "record": Record,
}  # fmt: skip
