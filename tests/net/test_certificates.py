"""Several certificates on one port, chosen by name, and replaced while the server runs."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from geventkws import WebSocketServer
from tests.integration.conftest import Recorder, Serve, Site
from tests.raw import RawClient
from tests.tls import connected_socket


class Files:
    """Certificates from one authority, in files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = trustme.CA()

    def issue(self, *names: str, to: str) -> tuple[str, str]:
        """Write a certificate for ``names`` to the files ``to``, replacing what is there."""
        issued = self.authority.issue_cert(*names)
        certfile, keyfile = str(self.directory / f"{to}.pem"), str(self.directory / f"{to}.key")
        issued.cert_chain_pems[0].write_to_path(certfile)
        issued.private_key_pem.write_to_path(keyfile)
        return certfile, keyfile

    def names(self, site: Site, asked: str | None) -> set[str]:
        """Return the names in the certificate that a client gets when it asks for a name."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        context.check_hostname = False
        with context.wrap_socket(connected_socket(site.port), server_hostname=asked) as client:
            certificate: Any = client.getpeercert()
            return {str(name) for _, name in certificate["subjectAltName"]}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


class TestNames:
    @pytest.mark.parametrize(
        ("asked", "shown"),
        [
            ("one.example", "one.example"),
            ("ONE.example", "one.example"),
            ("a.two.example", "*.two.example"),
            ("two.example", "default.example"),
            ("a.b.two.example", "default.example"),
            ("other.example", "default.example"),
            (None, "default.example"),
        ],
    )
    def test_a_client_is_shown_the_certificate_of_the_name(
        self, serve: Serve, files: Files, asked: str | None, shown: str
    ) -> None:
        certfile, keyfile = files.issue("default.example", to="default")
        certificates = {
            "One.example": files.issue("one.example", to="one"),
            "*.two.example": files.issue("*.two.example", to="two"),
        }
        site = serve(certfile=certfile, keyfile=keyfile, certificates=certificates)
        assert files.names(site, asked) == {shown}

    def test_a_context_of_ones_own_may_choose_too(self, serve: Serve, files: Files) -> None:
        asked = []
        context, other = (ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) for _ in range(2))
        context.load_cert_chain(*files.issue("default.example", to="default"))
        other.load_cert_chain(*files.issue("other.example", to="other"))

        def choose(connection: Any, name: str | None, _: ssl.SSLContext) -> None:
            asked.append(name)
            connection.context = other

        context.sni_callback = choose
        assert files.names(serve(ssl_context=context), "x.example") == {"other.example"}
        assert asked == ["x.example"]

    def test_they_need_a_default(self, files: Files) -> None:
        with pytest.raises(TypeError, match="certificates needs certfile"):
            WebSocketServer(("127.0.0.1", 0), certificates={"a.example": files.issue("a.example", to="a")})

    def test_they_are_pairs_of_files(self, files: Files) -> None:
        certfile, keyfile = files.issue("a.example", to="a")
        broken: dict = {"a.example": certfile}
        with pytest.raises(TypeError, match=r"certificates\['a.example'\] must be a tuple"):
            WebSocketServer(("127.0.0.1", 0), certfile=certfile, keyfile=keyfile, certificates=broken)


class TestNewCertificates:
    def test_they_are_shown_to_new_clients_and_old_ones_stay(self, serve: Serve, files: Files) -> None:
        certfile, keyfile = files.issue("old.example", to="default")
        extra = files.issue("old.one.example", to="one")
        service = Recorder()
        site = serve(service, certfile=certfile, keyfile=keyfile, certificates={"one.example": extra})
        context = ssl.create_default_context()
        files.authority.configure_trust(context)
        sock = context.wrap_socket(connected_socket(site.port), server_hostname="old.example")
        with RawClient(site.port, "/service", sock=sock):
            service.expect("connected")
            files.issue("new.example", to="default")
            files.issue("new.one.example", to="one")
            assert files.names(site, None) == {"old.example"}
            site.server.reload_certificates()
            assert files.names(site, None) == {"new.example"}
            assert files.names(site, "one.example") == {"new.one.example"}
            service.connections[0].send("still here")

    @pytest.mark.parametrize("broken", ["missing", "another key", "no certificate"])
    def test_wrong_files_change_nothing(self, serve: Serve, files: Files, broken: str) -> None:
        certfile, keyfile = files.issue("old.example", to="default")
        site = serve(certfile=certfile, keyfile=keyfile)
        if broken == "missing":
            Path(keyfile).unlink()
        elif broken == "another key":
            shutil.copy(files.issue("new.example", to="other")[1], keyfile)
        else:
            Path(certfile).write_text("precious")
        with pytest.raises(OSError, match=r"."):
            site.server.reload_certificates()
        assert files.names(site, None) == {"old.example"}

    def test_before_the_start_they_are_read_for_the_start(self, files: Files) -> None:
        certfile, keyfile = files.issue("old.example", to="default")
        server = WebSocketServer(("127.0.0.1", 0), certfile=certfile, keyfile=keyfile)
        files.issue("new.example", to="default")
        server.reload_certificates()
        server.start()
        assert files.names(Site(server), None) == {"new.example"}
        server.stop(timeout=1)

    def test_without_files_there_is_nothing_to_read(self) -> None:
        with pytest.raises(RuntimeError, match="nothing to read again"):
            WebSocketServer(("127.0.0.1", 0)).reload_certificates()
