"""What is deployed is what the program knows: settings, commands, users, and nothing more open than it must be."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml  # type: ignore[import-untyped]

from api.app.settings import Settings
from api.cli.reference import reference
from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
INSTRUCTIONS = {
    "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "USER", "WORKDIR"
}  # fmt: skip
HARDENED = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "ProtectProc": "invisible",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectControlGroups": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
    "LimitCORE": "0",
    "UMask": "0077",
}
"""What each unit says; a core dump would hold keys."""


def known_settings() -> set[str]:
    """The names of settings, without their prefix."""
    return {name.upper() for name in Settings.model_fields}


def known_commands() -> set[str]:
    """The first words of the commands that there are."""
    return set(re.findall(r"`heartwood ([a-z-]+)", reference()))


def compose() -> dict[str, Any]:
    """The compose file."""
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "container" / "compose.yml").read_text())
    return loaded


def unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """A unit's sections, each setting with all that it is set to."""
    sections: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in path.read_text().splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            sections[section] = {}
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            sections[section].setdefault(name, []).append(value)
    return sections


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_setting_and_every_link_is_one(path: Path) -> None:
    """No file sets what the program doesn't read."""
    text = path.read_text()
    named = set(re.findall(r"\bHEARTWOOD_([A-Z_]+)", text))
    assert named <= known_settings()
    assert path.name in (ROOT / "docs" / "operations.md").read_text()


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_hardened(path: Path) -> None:
    """As a user of its own, with no rights, and with a command that there is."""
    service = unit(path)["Service"]
    for name, value in HARDENED.items():
        assert service.get(name) == [value], name
    assert service["User"] != ["root"]
    assert service["SystemCallFilter"] == ["@system-service", "~@privileged"]
    for command in service["ExecStart"] + service.get("ExecStartPre", []):
        program, name = shlex.split(command.lstrip("-"))[:2]
        assert program == "/opt/heartwood/bin/heartwood"
        assert name in known_commands()


def test_the_keeper_is_a_user_without_a_network() -> None:
    """The service can't read its folder; they share a socket's group."""
    service, keeper = (
        unit(DEPLOY / "systemd" / f"heartwood{n}.service")["Service"] for n in ("", "-keeper")
    )
    assert service["User"] != keeper["User"]
    assert service["SupplementaryGroups"] == keeper["Group"]
    assert (keeper["PrivateNetwork"], keeper["RestrictAddressFamilies"]) == (["yes"], ["AF_UNIX"])
    assert (keeper["StateDirectoryMode"], keeper["RuntimeDirectoryMode"]) == (["0700"], ["0750"])
    users = (DEPLOY / "systemd" / "heartwood.sysusers").read_text()
    for account in (*service["User"], *keeper["User"]):
        assert re.search(rf"^u {account} ", users, re.MULTILINE)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_takes_a_unit(path: Path) -> None:
    """By its own verifier, where there is one; that our program isn't installed there is no fault."""
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is missing: units are not verified by systemd itself")
    done = subprocess.run(
        [analyze, "verify", "--man=no", f"{path}"], capture_output=True, text=True, check=False
    )
    found = [
        line for line in done.stderr.splitlines()
        if line.startswith(path.name) and "is not executable" not in line
    ]  # fmt: skip
    assert not found
    assert "Unknown" not in done.stderr


def instructions() -> list[tuple[str, str]]:
    """The Containerfile's instructions and their arguments, lines joined."""
    text = (DEPLOY / "container" / "Containerfile").read_text()
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def test_the_container_is_made_of_what_is_locked() -> None:
    """Of named stages, by hash, from files that are there, and run by a user without rights."""
    made = instructions()
    assert {name for name, _ in made} <= INSTRUCTIONS
    bases = [rest.split()[0] for name, rest in made if name == "FROM"]
    assert len(bases) == 2
    assert all(re.fullmatch(r"[a-z]+:[\w.-]*\d[\w.-]*", base) for base in bases)
    for name, rest in made:
        if name == "COPY" and "--from" not in rest:
            assert (ROOT / rest.split()[0]).exists()
        for command in rest.split("&&") if name == "RUN" else ():
            if "pip install" in command:
                assert "--require-hashes" in command or "--no-index" in command
    last = [name for name, _ in made]
    stage = made[len(last) - 1 - last[::-1].index("FROM") :]
    users = [rest for name, rest in stage if name == "USER"]
    assert users == ["10001:10001"]
    command = next(rest for name, rest in stage if name == "CMD")
    assert '"serve"' in command


def test_the_containers_share_no_more_than_a_socket() -> None:
    """The keeper has a volume, a user and no network; nobody runs with rights, and no secret stands in the file."""
    services = compose()["services"]
    for name in ("service", "keeper"):
        one = services[name]
        assert one["cap_drop"] == ["ALL"]
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert one["read_only"] is True
        assert not any(re.search("PASS|SECRET", key) for key in one["environment"])
        assert one.get("command", ["serve"])[0] in known_commands()
    volumes = {
        name: {v.split(":")[0] for v in one.get("volumes", []) if not v.startswith(".")}
        for name, one in services.items()
    }
    assert volumes["service"] & volumes["keeper"] == {"keeper-socket"}
    assert_apart(compose())
    assert services["keeper"]["networks"] == ["alone"]
    assert compose()["networks"]["alone"] == {"internal": True}
    assert services["service"]["user"].split(":")[0] != services["keeper"]["user"].split(":")[0]
    assert not volumes["db"] & (volumes["service"] | volumes["keeper"])
    assert set().union(*volumes.values()) == compose()["volumes"].keys()
    proxy = services["proxy"]["networks"]["front"]["ipv4_address"]
    assert services["service"]["environment"]["HEARTWOOD_PROXIES"] == proxy
    assert [n for n, one in services.items() if "ports" in one] == ["proxy"]


def assert_apart(made: dict[str, Any]) -> None:
    """No service but the proxy and the keeper has a way out, and nobody shares the keeper's."""
    ways_out = {name for name, one in made["networks"].items() if not (one or {}).get("internal")}
    for name, one in made["services"].items():
        if name not in ("proxy", "keeper"):
            assert not ways_out & set(one["networks"]), name
    shared = ways_out & set(made["services"]["proxy"]["networks"])
    assert not shared & set(made["services"]["keeper"]["networks"])


def merged(name: str) -> dict[str, Any]:
    """The compose file with another one over it, as far as these files need: lists are joined, maps are merged."""

    def over(base: Any, more: Any) -> Any:
        if isinstance(base, dict) and isinstance(more, dict):
            return base | {
                key: over(base[key], value) if key in base and key != "command" else value
                for key, value in more.items()
            }
        return [*base, *more] if isinstance(base, list) and isinstance(more, list) else more

    more = yaml.safe_load((DEPLOY / "container" / name).read_text())
    joined: dict[str, Any] = over(compose(), more)
    return joined


def test_a_keeper_reaches_kms_and_nobody_else_does() -> None:
    """The root's service is outside; the service that serves people has no way there."""
    made = merged("keeper-kms.yml")
    assert_apart(made)
    assert set(made["services"]["keeper"]["networks"]) == {"alone", "kms"}
    assert not (made["networks"]["kms"] or {}).get("internal")
    assert not any("kms" in one["networks"] for n, one in made["services"].items() if n != "keeper")
    assert made["services"]["keeper"]["environment"]["HEARTWOOD_RECORD_ROOT"].startswith("kms:")


def test_a_keeper_over_tls() -> None:
    """Both ends name the same place and have certificates; their one common network leads nowhere else."""
    made = merged("keeper-tls.yml")
    assert_apart(made)
    service, keeper = (made["services"][name] for name in ("service", "keeper"))
    assert set(service["networks"]) & set(keeper["networks"]) == {"line"}
    place = service["environment"]["HEARTWOOD_KEEPER"]
    assert keeper["environment"]["HEARTWOOD_KEEPER"] == place
    assert keeper["environment"]["HEARTWOOD_KEEPER_NAMES"] == "service"
    port = place.rpartition(":")[2]
    assert keeper["command"] == ["keeper", "serve", "--listen", f"tls:0.0.0.0:{port}"]
    for one in (service, keeper):
        folder = one["environment"]["HEARTWOOD_KEEPER_TLS"]
        assert any(volume.endswith(f":{folder}:ro") for volume in one["volumes"])


def test_the_database_shows_who_it_is() -> None:
    """Its certificate is asked for, and its key is nobody else's."""
    services = compose()["services"]
    url = urlsplit(services["service"]["environment"]["HEARTWOOD_DATABASE_URL"])
    asked = parse_qs(url.query)
    assert asked["sslmode"] == ["verify-full"]
    certificate = asked["sslrootcert"][0].removeprefix("/run/secrets/")
    assert certificate in services["service"]["secrets"]
    assert f"-cssl_cert_file=/run/secrets/{certificate}" in services["db"]["command"]
    assert [n for n, one in services.items() if "db-key" in one.get("secrets", ())] == ["db"]
    assert {n for one in services.values() for n in one.get("secrets", ())} == compose()[
        "secrets"
    ].keys()


def test_metrics_stay_inside() -> None:
    """No proxy forwards them."""
    nginx, caddy = ((DEPLOY / "tls" / name).read_text() for name in ("nginx.conf", "Caddyfile"))
    assert re.search(r"location ~ \^/metrics\(/\|\$\) \{\s*return 404;", nginx)
    assert re.search(r"@inside path /metrics /metrics/\*\s*respond @inside 404", caddy)


def test_a_keeper_on_a_machine_of_its_own() -> None:
    """The unit's addition opens the network to named addresses alone, and takes nothing else away."""
    found = unit(DEPLOY / "systemd" / "keeper-tls.conf")
    assert set(found) == {"Unit", "Service"}
    assert set(found["Service"]) == {
        "ExecStart", "PrivateNetwork", "RestrictAddressFamilies", "IPAddressDeny", "IPAddressAllow"
    }  # fmt: skip
    assert found["Unit"] == {name: ["network-online.target"] for name in ("Wants", "After")}
    before, command = found["Service"]["ExecStart"]
    assert before == "" and shlex.split(command)[1:] == [
        "keeper", "serve", "--listen", "tls:0.0.0.0:8421"
    ]  # fmt: skip
    assert found["Service"]["IPAddressDeny"] == ["any"]
    assert "any" not in found["Service"]["IPAddressAllow"][0].split()


def test_what_is_restarted_is_not_given_up() -> None:
    """A database, a network or a keeper that is away for ten seconds leaves no unit failed."""
    for path in UNITS:
        found = unit(path)
        if "Restart" in found["Service"]:
            assert found["Unit"].get("StartLimitIntervalSec") == ["0"], path.name


def test_a_backup_goes_to_a_disk_of_its_own() -> None:
    """Where it isn't mounted the unit fails, instead of filling the machine's own disk."""
    found = unit(DEPLOY / "systemd" / "heartwood-backup.service")
    folder = shlex.split(found["Service"]["ExecStart"][0])[-1]
    assert found["Unit"]["RequiresMountsFor"] == [folder]
    assert found["Unit"]["AssertPathIsMountPoint"] == [folder]


def test_no_image_names_a_host() -> None:
    """Whoever builds chooses where images come from; each has a version."""
    for name, one in compose()["services"].items():
        image = one["image"]
        assert "." not in image.split(":")[0], name
        assert image == "heartwood" or re.search(r":\d", image), name


def test_proxies_say_whom_they_saw() -> None:
    """Not what a client says of itself; and an upload is not kept in the proxy."""
    nginx, caddy = ((DEPLOY / "tls" / name).read_text() for name in ("nginx.conf", "Caddyfile"))
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in nginx
    assert "header_up X-Forwarded-For {remote_host}" in caddy
    assert "proxy_request_buffering off;" in nginx
    for text in (nginx, caddy):
        assert text.count("{") == text.count("}")
        assert "Strict-Transport-Security" in text


def test_patroni_loses_nothing() -> None:
    """Only a standby with every commit takes over, and the lease fits its rounds (Patroni's own rule)."""
    said = yaml.safe_load((DEPLOY / "patroni" / "patroni.yml").read_text())
    dcs = said["bootstrap"]["dcs"]
    assert dcs["synchronous_mode"] is dcs["synchronous_mode_strict"] is True
    assert dcs["ttl"] >= dcs["loop_wait"] + 2 * dcs["retry_timeout"]
    parameters = dcs["postgresql"]["parameters"]
    assert {parameters[name] for name in ("fsync", "full_page_writes", "synchronous_commit")} == {
        "on"
    }
