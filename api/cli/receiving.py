"""`key receive`: the key with which a hospital opens what is referred to it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from api.app.settings import Settings
from api.cli.app import As, Data, Json, Url, actor, at, say
from api.cli.keeping import nothing_appended
from api.cli.people import key_app
from client import referring
from crypto.xwing import ReceivingKey
from identity.receiving import Receiver, write_receiver
from journeys.errors import RecordsError


@key_app.command("receive")
def receive(
    system: As,
    out: Annotated[Path, typer.Option(help="The new file for the private key.")],
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Register an X-Wing key by which your hospital receives referrals, as its system.

    Its private half stays in the file: whoever has that opens every package sealed for the key, also when this service is
    gone; without it nobody does. Keep a copy of it in a safe place.
    """
    acting = actor(system)
    if acting.role != "hospital_system":
        raise RecordsError(f"got a key file of the role {acting.role}, expected hospital_system")
    with at(data, url) as client:
        key = ReceivingKey.generate()
        receiver = Receiver(client.origin, acting.account, acting.hospital, key)
        write_receiver(
            out, receiver, Settings().secret()
        )  # first: what is registered is never without its file
        try:
            seq = referring.register_receiving(client, acting, key)
        except BaseException as error:
            if nothing_appended(error):
                out.unlink(missing_ok=True)
            else:
                print(
                    f"heartwood: it is not known whether the key is in the log; it is kept in {out}. If it isn't registered, delete it.",
                    file=sys.stderr,
                )
            raise
    fields = {
        "account": acting.account, "hospital": acting.hospital, "key": key.id, "keyfile": str(out), "seq": seq,
    }  # fmt: skip
    say(json_, fields, f"Key {key.id} receives for {acting.hospital} (entry {seq})", f"key file: {out}")  # fmt: skip
