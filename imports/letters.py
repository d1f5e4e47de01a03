"""Letters with claim codes, one for each patient that an import registers."""

from dataclasses import replace
from pathlib import Path

from client.claiming import new_code
from client.letters import letter_bytes, letter_of
from client.local import LocalClient
from client.registering import NewPatient, register_patients
from durable.files import DIRECTORY_MODE, Draft
from identity.actors import Actor
from journeys.errors import RecordsError
from storage.ledger import Ledger


class Letters:
    """Registers patients with a claim code each, and writes `<patient>.pdf` into a folder (mode 0600)."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        """Makes the folder where it is missing, open to its owner alone; raises RecordsError."""
        self._client, self._folder = LocalClient(ledger), folder
        try:
            folder.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise RecordsError(f"cannot make the folder {folder}: {error.strerror}") from error

    def register(self, actor: Actor, new: NewPatient) -> None:
        """Register one patient. The letter is on the disk before: where it can't be written, nobody is registered."""
        code = new_code(new.patient)
        path = self._folder / f"{new.patient}.pdf"
        try:
            draft = Draft.beside(path)
        except OSError as error:
            raise RecordsError(f"cannot write {path}: {error.strerror}") from error
        try:
            draft.write([letter_bytes(letter_of(self._client, code), path)])
            register_patients(self._client, actor, [replace(new, claim=code.public)])
        except BaseException:
            draft.drop()
            raise
        draft.keep()
