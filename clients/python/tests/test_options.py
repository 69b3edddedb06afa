"""Where a client connects to, and as whom."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import prompt_ledger
from prompt_ledger import aio
from prompt_ledger._settings import Settings
from prompt_ledger.errors import InvalidOptions
from prompt_ledger.options import DEVELOPMENT_KEY, Profile, Target, is_loopback
from tests.scripted import KEY

FILE = f"""
[profiles.default]
server = "https://ledger.example.com"
api_key = "{KEY}"
project = "shop"

[profiles.staging]
server = "http://127.0.0.1:5"

[profiles.broken]
serve = "http://127.0.0.1:5"

[profiles.serverless]
api_key = "{KEY}"

[profiles.blank]
server = ""
api_key = "{KEY}"

[profiles.spare]
server = "http://127.0.0.1:6"
api_key = ""
project = ""
tls_ca = ""
tls_cert = ""
tls_key = ""
"""

NO_SERVER = "of .*/prompt-ledger/config.toml names no server: write server = "


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment with a file of profiles."""
    file = tmp_path / "prompt-ledger" / "config.toml"
    file.parent.mkdir()
    file.write_text(FILE)
    file.chmod(0o600)
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def find(environment: dict[str, str], profile: str | None = None, **given: Any) -> Profile:
    return Profile.find(given, profile, environment)


def test_a_profile_is_taken_whole_from_the_first_that_names_a_server(home: dict[str, str]) -> None:
    environment = {**home, "LEDGER_SERVER": "http://localhost:1", "LEDGER_TLS_CA": "ca.pem"}
    assert find(environment, server="http://127.0.0.1:9") == Profile("http://127.0.0.1:9")
    assert find(environment) == Profile("http://localhost:1", tls_ca="ca.pem"), "without the file's key"
    assert find({**home, "LEDGER_API_KEY": "other"}) == Profile("https://ledger.example.com", KEY, "shop")
    assert find({**home, "LEDGER_PROFILE": "staging"}) == Profile("http://127.0.0.1:5")
    assert find(environment, profile="staging") == Profile("http://127.0.0.1:5"), "an explicit argument"
    assert find(home, profile="spare") == Profile("http://127.0.0.1:6"), "empty texts count as none"
    assert find({"LEDGER_CONFIG": f"{home['XDG_CONFIG_HOME']}/prompt-ledger/config.toml"}).project == "shop"
    assert find({**home, "LEDGER_CONFIG": "", "LEDGER_PROFILE": ""}).project == "shop", "empty variables count as none"
    assert find({"XDG_CONFIG_HOME": "/nowhere"}) == Profile("http://127.0.0.1:50051", DEVELOPMENT_KEY)


@pytest.mark.parametrize(
    ("environment", "given", "problem"),
    [
        ({"LEDGER_PROFILE": "nobody"}, {}, "no profile 'nobody'"),
        ({"LEDGER_PROFILE": "broken"}, {}, "something else than api_key"),
        ({"LEDGER_PROFILE": "serverless"}, {}, f"the profile 'serverless' {NO_SERVER}"),
        ({"LEDGER_PROFILE": "blank"}, {}, f"the profile 'blank' {NO_SERVER}"),
        ({"LEDGER_CONFIG": "/nowhere/config.toml"}, {}, "there is no /nowhere"),
        ({"LEDGER_PROFILE": "staging", "XDG_CONFIG_HOME": "/nowhere"}, {}, "there is no /nowhere"),
        ({}, {"api_key": KEY, "project": "shop"}, "api_key, project without a server"),
    ],
)
def test_a_profile_that_is_none_is_an_error(
    home: dict[str, str], environment: dict[str, str], given: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidOptions, match=problem) as caught:
        find({**home, **environment}, **given)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("content", ["[profiles.other]\nserver = 'http://127.0.0.1:7'", ""])
def test_a_file_that_is_asked_for_has_a_profile(home: dict[str, str], content: str) -> None:
    file = Path(home["XDG_CONFIG_HOME"]) / "prompt-ledger" / "config.toml"
    file.write_text(content)
    for environment in ({"LEDGER_CONFIG": str(file)}, {"LEDGER_CONFIG": str(file), "LEDGER_PROFILE": ""}):
        with pytest.raises(InvalidOptions, match=f"^{file} has no profile 'default'$"):
            find(environment)
    for unnamed in (home, {**home, "LEDGER_CONFIG": "", "LEDGER_PROFILE": ""}):
        assert find(unnamed) == Profile("http://127.0.0.1:50051", DEVELOPMENT_KEY), "nothing was asked for"


@pytest.mark.parametrize("content", ["api_key = 'KEY'\n" + FILE, "api_key = 'KEY'", "profiles = ['KEY']"])
def test_a_file_has_nothing_beside_its_profiles(home: dict[str, str], content: str) -> None:
    file = Path(home["XDG_CONFIG_HOME"]) / "prompt-ledger" / "config.toml"
    file.write_text(content.replace("KEY", KEY))
    with pytest.raises(InvalidOptions, match=rf"^{file} holds something else than tables \[profiles.NAME\]$"):
        find(home)


def test_a_file_that_others_can_read_is_refused(home: dict[str, str]) -> None:
    file = Path(home["XDG_CONFIG_HOME"]) / "prompt-ledger" / "config.toml"
    file.chmod(0o640)
    with pytest.raises(InvalidOptions, match="chmod 600"):
        find(home)
    file.chmod(0o600)
    file.write_text(f"[profiles.default]\napi_key = {KEY}")
    with pytest.raises(InvalidOptions, match="is no TOML at line 2, column 11") as caught:
        find(home)
    assert KEY not in str(caught.value)


HERE = [
    "http://localhost:50051",
    "http://LocalHost",
    "http://127.0.0.1:50051",
    "http://127.8.9.1",
    "http://[::1]:50051",
    "http://[::ffff:127.0.0.1]:1",
    "http://localhost:1/",
]
ELSEWHERE = [
    ("http://ledger.example.com:50051", "ledger.example.com"),
    ("http://10.0.0.1:50051", "10.0.0.1"),
    ("http://128.0.0.1", "128.0.0.1"),
    ("http://0.0.0.0:50051", "0.0.0.0"),
    ("http://[::2]:50051", "::2"),
    ("http://[::ffff:10.0.0.1]:1", "::ffff:10.0.0.1"),
    ("http://localhost.example.com", "localhost.example.com"),
    ("http://127.0.0.1.example.com", "127.0.0.1.example.com"),
]


def target(server: str, key: str = KEY, *, allow_plaintext: bool = False, **options: Any) -> Target:
    return Target.of(Profile(server, key, **options), allow_plaintext=allow_plaintext)


def test_a_key_goes_unencrypted_only_to_this_machine_unless_that_is_asked_for() -> None:
    for server in HERE:
        target(server)
    for server, host in ELSEWHERE:
        with pytest.raises(InvalidOptions) as caught:
            target(server)
        assert f"`{host}`" in str(caught.value)
        assert KEY not in str(caught.value)
        target(server, key="")
        target(server, allow_plaintext=True)
        assert target(server.replace("http:", "https:")).tls is not None


def test_the_development_key_stays_on_this_machine() -> None:
    target("https://127.0.0.1", DEVELOPMENT_KEY)
    for server in ("https://ledger.example.com", "http://10.0.0.1"):
        with pytest.raises(InvalidOptions, match="this machine"):
            target(server, DEVELOPMENT_KEY, allow_plaintext=True)
    assert not is_loopback("")


def test_what_can_not_be_used_is_told_without_the_key() -> None:
    for server in (
        "",
        "127.0.0.1:50051",
        "ftp://host",
        "/path",
        "http://two words",
        "http://host:0",
        "http://host:x",
        "http://[::",
        "http://host/path",
        f"http://host?{KEY}",
        f"http://host#{KEY}",
    ):
        with pytest.raises(InvalidOptions, match="is no address of a server") as caught:
            target(server, "")
        assert KEY not in str(caught.value)
    for key in ("very-secret\n", "pl_ü", " pl_x"):
        with pytest.raises(InvalidOptions) as caught:
            target("http://localhost", key)
        assert "secret" not in str(caught.value)
    with pytest.raises(InvalidOptions, match=r"^the project holds characters that no name of a project has$"):
        target("http://localhost", project="a\nb")


def test_what_is_no_certificate_vouches_for_nothing(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    for content in (b"", b"hunter2", b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n"):
        file.write_bytes(content)
        for pem in (file, content):
            with pytest.raises(InvalidOptions, match="tls_ca holds no certificate"):
                target("https://host", tls_ca=pem)
    with pytest.raises(InvalidOptions, match="No such file"):
        target("https://host", tls_ca=tmp_path / "missing")
    with pytest.raises(InvalidOptions, match="belong together"):
        target("https://host", tls_key=file)


@pytest.mark.parametrize("names", [["tls_ca"], ["tls_cert"], ["tls_key"], ["tls_cert", "tls_key"]])
@pytest.mark.parametrize("server", ["http://localhost", "HTTP://ledger.example.com"])
@pytest.mark.parametrize("allow_plaintext", [False, True])
def test_tls_settings_are_refused_with_http(names: list[str], server: str, allow_plaintext: bool, tmp_path: Path) -> None:
    variables = {f"LEDGER_{name.upper()}": "missing.pem" for name in names}
    file = tmp_path / "config.toml"
    file.write_text(f"[profiles.default]\nserver = '{server}'\n" + "".join(f"{name} = '{KEY}'\n" for name in names))
    file.chmod(0o600)
    both = ", ".join(f"{name} (LEDGER_{name.upper()})" for name in names)
    for profile, named in (
        (Profile.find({"server": server, "api_key": KEY, **dict.fromkeys(names, tmp_path / "missing.pem")}, None, {}), both),
        (Profile.find({"server": server, **dict.fromkeys(names, b"")}, None, {}), both),
        (find({"LEDGER_SERVER": server, "LEDGER_API_KEY": KEY, **variables}), both),
        (find({"LEDGER_CONFIG": str(file)}), f"{', '.join(names)} of the profile 'default' of {file}"),
    ):
        with pytest.raises(InvalidOptions) as caught:
            Target.of(profile, allow_plaintext=allow_plaintext)
        assert str(caught.value).startswith(f"{named} cannot be used with http://")
        assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "server",
    [
        f"http://ada:{KEY}@127.0.0.1:1",
        f"https://ada:{KEY}@ledger.example.com",
        f"http://{KEY}@localhost",
        f"http://:{KEY}@localhost:1",
        f"http://ada:a/{KEY}@localhost",
        f"http://ada:a?{KEY}@localhost",
        f"http://ada:%zz{KEY}@localhost",
        f"ada:{KEY}@localhost:1",
        f"http:\\\\ada:{KEY}@localhost",
    ],
)
@pytest.mark.parametrize("origin", ["argument", "environment", "file"])
def test_an_address_with_a_user_or_a_password_is_refused_wherever_it_stands_and_not_shown(
    server: str, origin: str, home: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if origin == "environment":
        monkeypatch.setenv("LEDGER_SERVER", server)
    if origin == "file":
        monkeypatch.setenv("XDG_CONFIG_HOME", home["XDG_CONFIG_HOME"])
        file = Path(home["XDG_CONFIG_HOME"]) / "prompt-ledger" / "config.toml"
        file.write_text(f"[profiles.default]\nserver = '{server}'\n")
    for connect in (prompt_ledger.connect, aio.connect, prompt_ledger.PromptLedger):
        with pytest.raises(InvalidOptions, match="api_key or LEDGER_API_KEY") as caught:
            connect(*([server] if origin == "argument" else []))
        shown = f"{caught.value} {caught.value!r}"
        assert KEY not in shown
        assert "ada" not in shown


@pytest.mark.parametrize(
    "entry",
    [
        "server = 'KEY'",
        "server = 'http://KEY.example.com'\napi_key = 'k'",
        "server = 'http://localhost'\nproject = 'KEY\u00e4'",
        "server = 'http://localhost'\napi_key = 'KEY\u00e4'",
        "server = 'https://localhost'\ntls_ca = 'KEY'",
        "server = 'https://localhost'\ntls_cert = 'KEY'\ntls_key = 'KEY'",
    ],
)
def test_no_error_shows_what_stands_in_the_file(entry: str, home: dict[str, str]) -> None:
    file = Path(home["XDG_CONFIG_HOME"]) / "prompt-ledger" / "config.toml"
    file.write_text("[profiles.default]\n" + entry.replace("KEY", KEY))
    with pytest.raises(InvalidOptions, match=f"of the profile 'default' of {file}") as caught:
        Target.of(find(home), allow_plaintext=False)
    assert KEY not in str(caught.value)


def test_a_file_of_profiles_is_a_file_and_bounded(home: dict[str, str]) -> None:
    file = Path(home["XDG_CONFIG_HOME"]) / "prompt-ledger" / "config.toml"
    file.write_text(FILE + "#" * 1024 * 1024)
    with pytest.raises(InvalidOptions, match="more than 1 MiB"):
        find(home)
    file.unlink()
    os.mkfifo(file, 0o600)
    with pytest.raises(InvalidOptions, match="is no file"):
        find(home)


def test_addresses_are_those_of_grpc() -> None:
    assert target("http://[::1]:7").address == "dns:///[::1]:7"
    assert target("https://ledger.example.com").address == "dns:///ledger.example.com:443"
    assert target("http://localhost").address == "dns:///localhost:80"


def test_options_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.of(None, {}).server == "http://127.0.0.1:50051"
    monkeypatch.setenv("LEDGER_SERVER", "http://localhost:2")
    assert Settings.of(None, {"timeout": 5}).server == "http://localhost:2"
    with pytest.raises(InvalidOptions, match="patience is to be more than 0"):
        Settings.of(None, {"patience": 0})
    wrong: Any = {"mode": "half"}
    with pytest.raises(InvalidOptions, match="'half' is no mode"):
        Settings.of(None, wrong)
    unknown: Any = {"tiemout": 3}
    with pytest.raises(TypeError, match="tiemout"):
        prompt_ledger.connect(**unknown)


def test_nothing_shows_a_key() -> None:
    profile = Profile("http://localhost", KEY)
    secure = Profile("https://localhost", KEY, tls_key=b"secret")
    target = Target.of(profile, allow_plaintext=False)
    shown = f"{profile!r} {secure!r} {target!r} {Settings.of('http://localhost', {'api_key': KEY})!r}"
    assert "secret" not in shown
