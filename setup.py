"""Builds the compiled hot path; everything else is in pyproject.toml.

``BUILD_EXTENSION`` in the environment decides what happens if a build fails, for example without a compiler:

- ``yes``: it is an error (CI and releases);
- ``no``: nothing is compiled in the first place;
- otherwise: the package is installed without the compiled modules, and runs the readable ones.

``SANITIZE`` is a list for the compiler's ``-fsanitize``, such as ``address,undefined``; the libraries of the
sanitizers are not linked, because Python must load them first. Without it, ``CFLAGS`` decides about
optimization if it is set; otherwise ``-O3 -g0`` is used.

``SOURCE_DATE_EPOCH`` is the time, in seconds since 1970, of everything in an archive, so that the same
sources give the same bytes (https://reproducible-builds.org/specs/source-date-epoch/).
"""

import gzip
import os
import tarfile
import time
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.sdist import sdist

WISH = os.environ.get("BUILD_EXTENSION", "")
SANITIZE = os.environ.get("SANITIZE", "")
BUILD_DIR = "build/cython"

TWINS = ("http.field_lines", "loop.leaf", "net.tls_records", "protocol.endpoint", "websocket.intake")
"""Modules whose compiled forms are twins written in Cython."""

COMPILED = (
    *(f"http.{name}" for name in ("body", "chunked", "connection", "context", "environ", "exchange")),
    *(f"http.{name}" for name in ("fields", "framing", "head", "reader", "request_durations")),
    *(f"http.{name}" for name in ("response", "stream")),
    *(f"loop.{name}" for name in ("channel", "durations", "loop", "roles")),
    "net.transport",
    *(f"protocol.{name}" for name in ("field_index", "handshake", "tokens")),
    *(f"server.{name}" for name in ("connections", "reception")),
    *(f"websocket.{name}" for name in ("census", "conversation", "delegate", "ending", "lifecycle")),
    *(f"websocket.{name}" for name in ("tally", "transitions")),
)
"""Modules that are compiled from their Python source."""


def compiled(name):
    """Return the name of a module's compiled form, which ``backend.use_compiled`` chooses at run time."""
    package, module = name.split(".")
    return f"geventkws.{package}._c_{module}"


def declarations_changed():
    """Return whether a ``.pxd`` is newer than the C code made from it, which Cython does not check.

    It would check a ``reader.pxd``, but it does not know that ``_c_reader.pxd`` belongs to ``reader.py``.
    """
    made = [path.stat().st_mtime for path in Path(BUILD_DIR).rglob("*.c")]
    declared = [path.stat().st_mtime for path in Path("geventkws").rglob("*.pxd")]
    return bool(made) and max(declared) > min(made)


def extensions():
    """Return the extension modules to build."""
    if WISH == "no":
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        if WISH == "yes":
            raise
        return []
    if SANITIZE:
        flags = [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g", "-O1"]
    else:
        # Debug information would name the directory of the build, and be three quarters of the wheel.
        flags = [] if "CFLAGS" in os.environ else ["-O3", "-g0"]
    sources = {compiled(name): compiled(name).replace(".", "/") + ".pyx" for name in TWINS}
    sources |= {compiled(name): f"geventkws/{name.replace('.', '/')}.py" for name in COMPILED}
    modules = [Extension(name, [source], extra_compile_args=flags) for name, source in sources.items()]
    modules = cythonize(
        modules,
        build_dir=BUILD_DIR,
        force=declarations_changed(),
        nthreads=os.cpu_count() or 1,
        # Annotations are for mypy; as C types, they would mean something else.
        compiler_directives={"annotation_typing": False, "language_level": 3},
    )
    for module in modules:
        module.optional = WISH != "yes"  # set here, because Cython does not copy it
    return modules


class ReproducibleSdist(sdist):
    """Writes an archive that tells nothing of the builder, nor when and with which rights files were made."""

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, owner=None, group=None):
        """Return the path of the archive of ``base_dir``, which ``build`` always wants as a ``gztar``."""
        if format != "gztar":
            return super().make_archive(base_name, format, root_dir, base_dir, owner, group)
        moment = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))

        def anonymous(member):
            member.mtime, member.uid, member.gid, member.uname, member.gname = moment, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            return member

        path = f"{base_name}.tar.gz"
        with (
            open(path, "wb") as file,
            gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=moment) as compressed,
            tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            archive.add(base_dir, filter=anonymous)
        return path


# Where processes are not forked, those that translate import this file.
if __name__ == "__main__":
    setup(
        cmdclass={"sdist": ReproducibleSdist},
        ext_modules=extensions(),
        options={"build_ext": {"parallel": os.cpu_count() or 1}},  # the C compiler, too, has all processors
    )
