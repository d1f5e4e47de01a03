"""`--for` and `--on-behalf-of`: acting for somebody else."""

from typing import Annotated

import typer

from api.cli.app import check_patient
from client.port import LedgerClient
from client.relatives import for_patient
from crypto.ids import is_id
from identity.actors import Actor
from journeys.errors import RecordsError

For = Annotated[
    str, typer.Option("--for", help="Act for this patient, as a relative or guardian of theirs.")
]
OnBehalfOf = Annotated[
    str,
    typer.Option("--on-behalf-of", help="Act for this colleague, ac_…, who let you, as a doctor."),
]


def acting_for(client: LedgerClient, acting: Actor, patient: str, colleague: str = "") -> Actor:
    """The actor on behalf of whom the options name, if they name anybody; raises RecordsError."""
    if patient and colleague:
        raise RecordsError("give --for or --on-behalf-of, not both")
    if patient:
        return for_patient(client, acting, check_patient(patient))
    if colleague:
        if not is_id("ac", colleague):
            raise RecordsError(f"{colleague[:60]!r} is not an account id")
        return acting.acting_for(colleague)
    return acting
