"""The servers that tests start: how they begin and end, and one with TLS."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from prompt_ledger import errors
from prompt_ledger.testing import dev_server, find_binary
from tests.conftest import done


def test_the_server_ends_with_its_block_and_says_why_it_did_not_start(tmp_path: Path) -> None:
    with dev_server() as server, server.connect() as ledger:
        port = int(server.server.rsplit(":", 1)[1])
        assert list(ledger.prompts.list()) == []
    with socket.socket() as free:
        # What is left of its connections is no server.
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
    with pytest.raises(RuntimeError, match="the server did not start") as caught:
        dev_server(environment={"DEFAULT_MODEL": "nobody/nothing"})
    assert "nobody" in str(caught.value)


def test_a_binary_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binary = find_binary()
    assert find_binary(binary) == binary
    monkeypatch.setenv("PROMPT_LEDGER_BIN", "/nowhere/prompt-ledger")
    with pytest.raises(FileNotFoundError, match="PROMPT_LEDGER_BIN"):
        find_binary()
    monkeypatch.delenv("PROMPT_LEDGER_BIN")
    monkeypatch.delenv("CARGO_TARGET_DIR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="not in the PATH"):
        find_binary()
    built = tmp_path / "target" / "debug" / "prompt-ledger"
    built.parent.mkdir(parents=True)
    built.touch()
    (tmp_path / "Cargo.toml").touch()
    assert find_binary() == built


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """A certificate of one's own, for localhost."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.fail("openssl makes the certificate: install it")
    paths = {"TLS_CERT": str(tmp_path / "cert.pem"), "TLS_KEY": str(tmp_path / "key.pem")}
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
    subprocess.run(
        [*command, *names, "-keyout", paths["TLS_KEY"], "-out", paths["TLS_CERT"]],
        check=True,
        capture_output=True,
        env={"PATH": os.environ["PATH"]},
    )
    return paths


async def test_tls_with_a_certificate_of_ones_own(certificate: dict[str, Any], connect: Any) -> None:
    with dev_server(environment=certificate) as server:
        secure = server.server.replace("http://", "https://")
        trusting = connect(secure, api_key=server.api_key, tls_ca=certificate["TLS_CERT"])
        await done(trusting.prompts.put("greet", "Hi", set_active=True))
        assert (await done(trusting.stream("greet").result())).status == "succeeded"
        with pytest.raises((errors.Unavailable, errors.DeadlineExceeded)):
            await done(connect(secure, api_key=server.api_key, timeout=1).prompts.get("greet"))
