"""What the path of a route names, by the name between its braces: ids of one kind each. And what may follow it."""

from typing import Annotated, Any

from fastapi import Path, Query

from client.operations import ACCOUNT, EVENT_ID, GROUP, HOSPITAL, PATIENT, RECORD, SESSION_ID
from crypto.ids import ID_PATTERN
from people.applications import DOCTOR_STATES, SEQ_DIGITS
from people.inviting import INVITATION_STATES
from records.emergencies import STATES

Account = Annotated[str, Path(pattern=f"^ac_{ID_PATTERN}$", examples=[ACCOUNT])]
Group = Annotated[str, Path(pattern=f"^gp_{ID_PATTERN}$", examples=[GROUP])]
Hospital = Annotated[str, Path(pattern=f"^hs_{ID_PATTERN}$", examples=[HOSPITAL])]
Patient = Annotated[str, Path(pattern=f"^pt_{ID_PATTERN}$", examples=[PATIENT])]
Record = Annotated[str, Path(pattern=f"^rc_{ID_PATTERN}$", examples=[RECORD])]
Session = Annotated[str, Path(pattern=f"^ss_{ID_PATTERN}$", examples=[SESSION_ID])]
State = Annotated[str, Query(pattern=f"^(|{'|'.join(DOCTOR_STATES)})$", examples=["pending"])]
After = Annotated[str, Query(pattern=f"^(|0|[1-9][0-9]{{0,{SEQ_DIGITS - 1}}})$", examples=["12"])]
Review = Annotated[str, Query(pattern=f"^(|{'|'.join(STATES)})$", examples=["overdue"])]
Invitation = Annotated[str, Path(pattern=f"^ev_{ID_PATTERN}$", examples=[EVENT_ID])]
Inquiry = Annotated[str, Path(pattern=f"^ev_{ID_PATTERN}$", examples=[EVENT_ID])]
Standing = Annotated[str, Query(pattern=f"^(|{'|'.join(INVITATION_STATES)})$", examples=["open"])]
NAMED: dict[str, Any] = {
    "account": Account, "after": After, "group": Group, "hospital": Hospital, "invitation": Invitation, "patient": Patient, "record": Record,
    "review": Review, "session": Session, "standing": Standing, "state": State,
}  # fmt: skip
