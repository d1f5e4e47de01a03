"""`account key list`, `keep`, `rotate`, `replace`, `revoke`: one's own keys, and those that the service keeps."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import As, Data, Json, Url, actor, at, say, settings
from api.cli.held import second
from api.cli.keeping import KeyFileAt, key_files
from client import operations, registering
from client.sessions import held_of
from client.signers import possession, signer_of
from crypto.encoding import b64decode
from crypto.texts import counted
from identity.actors import Actor, new_key
from identity.kept import OwnKey
from journeys.errors import RecordsError

own_key_app = typer.Typer(
    help="Your keys: who keeps each, and whether it counts.", no_args_is_help=True
)
account_app.add_typer(own_key_app, name="key")


@own_key_app.command("list")
def key_list(who: As, data: Data = None, url: Url = None, json_: Json = False) -> None:
    """List your keys, the newest first."""
    acting = actor(who)
    with at(data, url) as client:
        found = client.ask(acting, operations.OWN_KEYS)
    rows = operations.OWN_KEYS.codec.encode(found)
    lines = [
        f"{one.key}  {_keeper(one)}, "
        f"{f'counts from {one.counts_from}' if one.active else 'revoked'} (entry {one.seq})"
        for one in found
    ]
    say(json_, {"keys": rows}, *lines, counted(len(found), "key"))


def _keeper(one: OwnKey) -> str:
    """Who keeps a key: what the service says that it keeps; of a key that is revoked what its entry said."""
    kept = one.kept or (one.custody == "service" and not one.active)
    return "kept by the service" if kept else one.custody


@own_key_app.command("keep")
def key_keep(who: As, data: Data = None, url: Url = None, json_: Json = False) -> None:
    """Let the service keep a key for you, which it signs with in your sessions by password alone.

    Of an account that has a key of its own that one signs that it may, and stays valid: revoke it if it isn't to be used
    any more. The account needs a password and one-time codes.
    """
    acting = actor(who)
    with at(data, url) as client:
        made = client.keep_key(acting)
        key, seq = made.key, made.seq
        if not seq:
            public, proof = b64decode(made.public_key, 32), b64decode(made.proof, 64)
            key, seq = registering.register_key(
                client, acting, acting.account, "service", public, proof
            )
    fields = {"account": acting.account, "key": key, "seq": seq}
    say(json_, fields, f"The service keeps {key} for {acting.account} (entry {seq})")


@own_key_app.command("rotate")
def key_rotate(who: As, data: Data = None, url: Url = None, json_: Json = False) -> None:
    """Let the service make another key in place of the one that it keeps, by a code, in a session by password."""
    acting = actor(who)
    with at(data, url) as client:
        made = client.rotate_key(acting, *second())
    fields = {"account": acting.account, "key": made.key, "seq": made.seq}
    say(json_, fields, f"The service keeps {made.key} for {acting.account} (entry {made.seq})")


@own_key_app.command("replace")
def key_replace(
    who: As,
    out: Annotated[
        Path, typer.Option(help="Where to put the key file; the key never leaves this machine.")
    ],
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Put a key of your own, made here, in place of the one that the service keeps, by a code, in a session by password.

    The kept key is revoked and destroyed. The key file acts in the role that the session is in.
    """
    acting = actor(who)
    files = KeyFileAt(out, settings(data).secret())
    with at(data, url) as client, key_files(files):
        key = new_key()
        own = Actor(client.origin, acting.account, acting.role, acting.hospital, key)
        files.draft(own)
        proof = b64decode(possession(signer_of(own), client.origin, acting.account), 64)
        seq = client.replace_key(acting, key.public, proof, *second())
        files.stands(own)
    fields = {"account": acting.account, "key": key.id, "keyfile": out, "seq": seq}
    say(json_, fields, f"{key.id} is your key now (entry {seq})", f"key file: {out}")


@own_key_app.command("revoke")
def own_key_revoke(
    key: Annotated[
        str, typer.Argument(help="The key's id k_…; one that the service keeps is destroyed.")
    ],
    who: As,
    data: Data = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Revoke one of your keys for good; what it signed stays good. In a session by password: the kept one, by a code."""
    acting = actor(who)
    with at(data, url) as client:
        if held_of(acting) is None:
            seq = registering.revoke_key(client, acting, acting.account, key)
        else:
            kept = [one.key for one in client.ask(acting, operations.OWN_KEYS) if one.kept]
            if kept != [key]:
                raise RecordsError(
                    f"in a session the key that the service keeps is revoked, which is {kept[0] if kept else 'none'}; "
                    "revoke others with a key file (--as FILE)"
                )
            seq = client.revoke_kept(acting, *second())
    fields = {"account": acting.account, "key": key, "seq": seq}
    say(json_, fields, f"Key {key} of {acting.account} is revoked (entry {seq})")
