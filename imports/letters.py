"""Letters with claim codes, one for each patient that an import registers and who is old enough to claim."""

from dataclasses import replace
from pathlib import Path

from client.claiming import new_code
from client.letters import letter_bytes, letter_of
from client.local import LocalClient
from client.registering import NewPatient, chart_for, register_patients
from durable.files import DIRECTORY_MODE, Draft
from identity.actors import Actor
from journeys.days import acts_at_all
from journeys.errors import RecordsError
from storage.ledger import Ledger


class Letters:
    """Registers patients with a claim code each, and writes `<patient>.pdf` into a folder (mode 0600)."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        """Makes the folder where it is missing, open to its owner alone; raises RecordsError."""
        self._client, self._folder = LocalClient(ledger), folder
        self.young = 0
        """Patients registered without a letter: too young to claim, or of an age that isn't known."""
        try:
            folder.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise RecordsError(f"cannot make the folder {folder}: {error.strerror}") from error

    def register(self, actor: Actor, new: NewPatient) -> None:
        """Register one patient. The letter is on the disk before: where it can't be written, nobody is registered."""
        if new.birth_date is None or not acts_at_all(new.birth_date, self._client.now()):
            register_patients(self._client, actor, [new])
            self.young += 1
            return
        if new.identifier:
            new = replace(new, patient=chart_for(self._client, actor, new.identifier))
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
