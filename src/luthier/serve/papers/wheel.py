"""Luthier as a wheel, packed from the package that runs: a bundle must be servable where no index knows it."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import luthier
from luthier.core.files import atomic_writer

_EPOCH = (1980, 1, 1, 0, 0, 0)
_KEPT = ("METADATA", "entry_points.txt")
_WHEEL = "Wheel-Version: 1.0\nGenerator: luthier {version}\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel_name() -> str:
    """The file's name, as the binary distribution format asks (PEP 427)."""
    return f"luthier-{metadata.version('luthier')}-py3-none-any.whl"


def write_wheel(folder: Path) -> str:
    """Write the wheel into `folder`, the same bytes for the same package; gives its name."""
    name = wheel_name()
    with atomic_writer(folder / name) as raw, zipfile.ZipFile(raw, "w") as archive:
        record = io.StringIO()
        line = csv.writer(record, lineterminator="\n")
        for path, content in _members():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            line.writerow((path, f"sha256={digest}", len(content)))
            _add(archive, path, content)
        own = f"{_dist_info()}/RECORD"
        line.writerow((own, "", ""))
        _add(archive, own, record.getvalue().encode())
    return name


def _dist_info() -> str:
    return f"luthier-{metadata.version('luthier')}.dist-info"


def _members() -> Iterator[tuple[str, bytes]]:
    """Path in the wheel and content: the package's files, then what the installer wrote about it."""
    package = Path(luthier.__file__).parent
    for path in sorted(package.rglob("*")):
        inside = path.relative_to(package)
        if path.is_file() and "__pycache__" not in inside.parts and path.suffix not in (".pyc", ".tmp"):
            yield f"luthier/{inside.as_posix()}", path.read_bytes()
    installed = metadata.distribution("luthier")
    for name in _KEPT:
        yield f"{_dist_info()}/{name}", (installed.read_text(name) or "").encode()
    licence = installed.read_text("licenses/LICENSE")
    if licence is not None:
        yield f"{_dist_info()}/licenses/LICENSE", licence.encode()
    yield f"{_dist_info()}/WHEEL", _WHEEL.format(version=metadata.version("luthier")).encode()


def _add(archive: zipfile.ZipFile, path: str, content: bytes) -> None:
    """Add a member without a date of its own, so that equal packages give equal bytes; weights are stored as they are."""
    info = zipfile.ZipInfo(path, _EPOCH)
    info.external_attr = 0o644 << 16
    packed = zipfile.ZIP_STORED if path.endswith(".safetensors") else zipfile.ZIP_DEFLATED
    archive.writestr(info, content, packed)
