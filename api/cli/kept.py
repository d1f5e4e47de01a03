"""`account key list`, `keep`, `revoke`: one's own keys, and letting the service keep one."""

from typing import Annotated

import typer

from api.cli.accounts import account_app
from api.cli.app import As, Data, Json, Url, actor, at, say
from client import operations, registering
from crypto.encoding import b64decode
from crypto.texts import counted
from identity.kept import OwnKey

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

    Your own key signs that it may; the account needs a password and one-time codes. Your own key stays valid: revoke it
    if it isn't to be used any more.
    """
    acting = actor(who)
    with at(data, url) as client:
        made = client.keep_key(acting)
        public, proof = b64decode(made.public_key, 32), b64decode(made.proof, 64)
        key, seq = registering.register_key(
            client, acting, acting.account, "service", public, proof
        )
    fields = {"account": acting.account, "key": key, "seq": seq}
    say(json_, fields, f"The service keeps {key} for {acting.account} (entry {seq})")


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
    """Revoke one of your keys for good; what it signed stays good."""
    acting = actor(who)
    with at(data, url) as client:
        seq = registering.revoke_key(client, acting, acting.account, key)
    fields = {"account": acting.account, "key": key, "seq": seq}
    say(json_, fields, f"Key {key} of {acting.account} is revoked (entry {seq})")
