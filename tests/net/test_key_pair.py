"""Certificates and keys that cannot be used, and the errors about them."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from geventkws import WebSocketServer
from geventkws.net.key_pair import load_key_pair
from tests.certificates import Certificates
from tests.helpers import require_program
from tests.programs import ROOT
from tests.waiting import PATIENCE

NOBODY = 65534


@pytest.fixture
def files(certificates: Certificates, tmp_path: Path) -> dict[str, str]:
    """Paths, by what the files contain."""
    openssl = require_program("openssl")
    paths = {"cert": certificates.certfile, "key": certificates.keyfile, "both": certificates.bothfile}
    paths |= {
        name: str(tmp_path / name) for name in ("other", "encrypted", "der", "broken", "text", "missing")
    }
    paths["directory"] = str(tmp_path)
    trustme.CA().issue_cert("other.example").private_key_pem.write_to_path(paths["other"])
    encrypt = ["pkey", "-in", paths["key"], "-aes256", "-passout", "pass:x", "-out", paths["encrypted"]]
    convert = ["x509", "-in", paths["cert"], "-outform", "DER", "-out", paths["der"]]
    for arguments in (encrypt, convert):
        subprocess.run([openssl, *arguments], check=True, timeout=PATIENCE)
    Path(paths["broken"]).write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    Path(paths["text"]).write_text("precious")
    return paths


@pytest.mark.parametrize(
    ("cert", "key", "said"),
    [
        ("missing", "key", "certfile '{missing}': No such file or directory; check the path"),
        ("cert", "missing", "keyfile '{missing}': No such file or directory; check the path"),
        ("directory", "key", "certfile '{directory}': Is a directory; give a file, not a directory"),
        ("cert", "directory", "keyfile '{directory}': Is a directory; give a file, not a directory"),
        ("key", "cert", "certfile '{key}' has a key, and keyfile '{cert}' a certificate: swap the two"),
        ("key", None, "certfile '{key}' has a key and no certificate: give the certificate's file, and this"),
        ("key", "key", "certfile '{key}' has a key and no certificate"),
        ("cert", None, "certfile '{cert}' has no key: give the key's file as keyfile"),
        ("cert", "cert", "keyfile '{cert}' has no key in PEM form, which begins with '-----BEGIN'"),
        ("cert", "text", "keyfile '{text}' has no key in PEM form, which begins with '-----BEGIN'"),
        ("text", "key", "certfile '{text}' has no certificate in PEM form, which begins with '-----BEGIN'"),
        (
            "der",
            "key",
            "certfile '{der}' has no certificate in PEM form, but in DER form: convert it (openssl x",
        ),
        (
            "cert",
            "other",
            "the key in keyfile '{other}' does not belong to the certificate in certfile '{cert}'",
        ),
        ("cert", "encrypted", "keyfile '{encrypted}' has an encrypted key: decrypt it (openssl pkey"),
        ("broken", "key", "certfile '{broken}' with keyfile '{key}': OpenSSL cannot use them"),
    ],
)
def test_what_is_wrong_is_reported_with_the_file_and_the_remedy(
    files: dict[str, str], cert: str, key: str | None, said: str
) -> None:
    with pytest.raises(OSError, match=r".") as raised:
        WebSocketServer(("127.0.0.1", 0), certfile=files[cert], keyfile=key and files[key])
    text = str(raised.value)
    assert text.removeprefix(f"[Errno {raised.value.errno}] ").startswith(said.format(**files))


def test_a_file_that_may_not_be_read_is_reported(files: dict[str, str]) -> None:
    os.chmod(files["text"], 0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)  # root may read everything
    try:
        with pytest.raises(PermissionError, match="let the server's user read it"):
            load_key_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), files["text"])
    finally:
        os.seteuid(user)


@pytest.mark.parametrize(
    "more",
    [{"certfile": 5}, {"certfile": ["a"]}, {"certfile": "a", "keyfile": b"b"}, {"certfile": ssl.CERT_NONE}],
)
def test_what_is_not_a_path_is_a_type_error(more: dict) -> None:
    with pytest.raises(TypeError, match=r"must be a tuple \(certfile, keyfile\) of paths"):
        WebSocketServer(("127.0.0.1", 0), **more)


def test_a_path_may_be_a_pathlib_path(files: dict[str, str]) -> None:
    server = WebSocketServer(("127.0.0.1", 0), certfile=Path(files["cert"]), keyfile=Path(files["key"]))
    server.reload_certificates()


@pytest.mark.parametrize("mapping", [["a"], "a.example", {1: ("a", "b")}, {"a": ("a",)}, {"a": (1, 2)}])
def test_certificates_for_other_names_are_a_mapping(files: dict[str, str], mapping: dict) -> None:
    with pytest.raises(TypeError, match=r"^certificates"):
        WebSocketServer(("127.0.0.1", 0), certfile=files["both"], certificates=mapping)


def test_an_encrypted_key_asks_nobody_at_the_terminal(files: dict[str, str]) -> None:
    program = (
        "import sys; from geventkws import WebSocketServer\n"
        "WebSocketServer(('127.0.0.1', 0), certfile=sys.argv[1], keyfile=sys.argv[2])"
    )
    primary, terminal = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, files["cert"], files["encrypted"]],
            cwd=ROOT,
            stdin=terminal,
            capture_output=True,
            start_new_session=True,
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.close(primary)
        os.close(terminal)
    assert done.returncode == 1
    assert b"has an encrypted key" in done.stderr
    assert b"pass phrase" not in done.stderr + done.stdout
