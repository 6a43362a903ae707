"""The zip of a capsule, written and read as strictly as it can be: entries stored one behind the other and nothing else in the file.

Reading trusts no field: the list at the end must name what lies before it, byte for byte, with no gap, no comment and no extra field. What an
ordinary zip may do and a capsule never does (compressed, encrypted, linked, named twice, absolute, zip64) is refused by name, so that no
unpacker of any kind can be led astray by what was let in here.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from experiments.capsule_form import ALL_NAMES, MOST_BYTES, SIZES, UNCHANGED
from extractors.errors import CapsuleError

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_BLOCK = 2**20
_DATE = (1980, 1, 1, 0, 0, 0)
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_UTF8 = 0x800
_DIRECTORY = 0x10
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True)
class Entry:
    """Where the content of a file lies in the zip."""

    name: str
    offset: int
    size: int
    crc: int


class CapsuleZip:
    """The entries of an open capsule.

    Parameters
    ----------
    file : binary file
        Seekable.

    Raises
    ------
    CapsuleError
        ``not_capsule``, ``too_large``, ``too_many``, ``zip64``, ``unknown_file``, ``repeated_file``, ``encrypted``, ``link``, ``compressed``,
        ``file_too_large`` or ``layout``.
    """

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.size = file.seek(0, os.SEEK_END)
        self.entries = {entry.name: entry for entry in _index(file, self.size)}

    def blocks(self, name: str) -> Iterator[bytes]:
        """Content of a file in blocks of 1 MiB; CapsuleError ``damaged`` when its checksum is another one."""
        entry = self.entries[name]
        self.file.seek(entry.offset)
        left, crc = entry.size, 0
        while left:
            block = self.file.read(min(_BLOCK, left))
            if not block:
                raise damaged(name)
            left, crc = left - len(block), zlib.crc32(block, crc)
            yield block
        if crc != entry.crc:
            raise damaged(name)

    def read(self, name: str) -> bytes:
        """Content of a small file."""
        return b"".join(self.blocks(name))

    def copy(self, name: str, target: Path | None, tell: Callable[[], None] = lambda: None) -> str:
        """Copy a file to ``target`` (None: only read it) and return its sha256."""
        digest = hashlib.sha256()
        with open(target if target is not None else os.devnull, "wb") as out:
            for block in self.blocks(name):
                digest.update(block)
                if target is not None:
                    out.write(block)
                tell()
        return digest.hexdigest()


def open_capsule_file(path: str | os.PathLike) -> IO[bytes]:
    """Open a capsule without ever waiting on a pipe or a device; CapsuleError ``not_capsule`` when it is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        raise CapsuleError("not_capsule", "The capsule cannot be opened.", "Choose a capsule that Cineglass saved.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CapsuleError("not_capsule", "This is no file, so it is no capsule.", "Choose a capsule that Cineglass saved.")
    return open(descriptor, "rb")


def write_zip(path: Path, files: dict[str, Path | bytes], tell: Callable[[], None]) -> None:
    """Write files in their order, stored, without dates: equal content gives equal bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            if isinstance(content, bytes):
                archive.writestr(info, content)
                continue
            info.file_size = content.stat().st_size
            with content.open("rb") as source, archive.open(info, "w") as target:
                while block := source.read(_BLOCK):
                    target.write(block)
                    tell()


def damaged(name: str) -> CapsuleError:
    """The error for a file whose content is not what the capsule says."""
    return CapsuleError("damaged", f"{name} in the capsule is damaged.", UNCHANGED)


def _index(file: IO[bytes], size: int) -> list[Entry]:
    """The entries, after everything around them has been looked at."""
    file.seek(0)
    if file.read(4) not in _ZIPS:
        raise CapsuleError("not_capsule", "The file is no experiment capsule: it is not a zip.", "Choose a capsule that Cineglass saved.")
    if size > MOST_BYTES:
        said = f"The capsule has {size / 1e9:.1f} GB; at most {MOST_BYTES / 1e9:.1f} GB are allowed."
        raise CapsuleError("too_large", said, "Save it without films.")
    file.seek(max(0, size - _END.size))
    tail = file.read(_END.size)
    if len(tail) < _END.size:
        raise _layout("it is cut off")
    mark, disk, first_disk, here, count, length, start, comment = _END.unpack(tail)
    if mark != b"PK\x05\x06" or comment:
        raise _layout("it does not end where a zip ends")
    if count == 0xFFFF or start == 0xFFFFFFFF or length == 0xFFFFFFFF:
        raise CapsuleError("zip64", "The capsule is a zip64 file, which no capsule is.", UNCHANGED)
    if count > len(ALL_NAMES):
        raise CapsuleError("too_many", f"The capsule holds {count} files; at most {len(ALL_NAMES)} are allowed.", UNCHANGED)
    if disk or first_disk or here != count or start + length + _END.size != size:
        raise _layout("its list of files is not where it must be")
    file.seek(start)
    listed, at, entries = file.read(length), 0, []
    for _ in range(count):
        if len(listed) - at < _CENTRAL.size:
            raise _layout("its list of files is cut off")
        fields = _CENTRAL.unpack_from(listed, at)
        name = listed[at + _CENTRAL.size : at + _CENTRAL.size + fields[10]]
        entries.append((fields, _checked(fields, name, {entry[1] for entry in entries})))
        at += _CENTRAL.size + fields[10]
    if at != length:
        raise _layout("its list of files has something behind it")
    return _in_place(file, entries, start)


def _checked(fields: tuple, raw: bytes, taken: set[str]) -> str:
    """The name of a listed file, when everything the list says of it is as it must be."""
    mark, _, _, flags, method, _, _, _, packed, size, length, extra, comment, disk, _, attributes, _ = fields
    if mark != b"PK\x01\x02" or len(raw) != length:
        raise _layout("its list of files cannot be read")
    name = raw.decode("ascii", "replace")
    shown = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in name)[:60]
    if name not in ALL_NAMES:
        raise CapsuleError("unknown_file", f"The capsule holds a file named {shown!r}, which no capsule has.", UNCHANGED)
    if name in taken:
        raise CapsuleError("repeated_file", f"The capsule holds {name} twice.", UNCHANGED)
    if flags & _ENCRYPTED:
        raise CapsuleError("encrypted", f"{name} in the capsule is encrypted.", "Save the capsule without a password.")
    kind = stat.S_IFMT(attributes >> 16)
    if kind not in (0, stat.S_IFREG) or attributes & _DIRECTORY:
        raise CapsuleError("link", f"{name} in the capsule is a link, a folder or a device and no file.", UNCHANGED)
    if method or packed != size:
        raise CapsuleError("compressed", f"{name} in the capsule is compressed; the files of a capsule are stored as they are.", UNCHANGED)
    most = SIZES[os.path.splitext(name)[1]]
    if size > most:
        raise CapsuleError("file_too_large", f"{name} in the capsule has {size / 2**20:.0f} MB; at most {most / 2**20:.0f} are allowed.", UNCHANGED)
    if flags & ~_UTF8 or extra or comment or disk:
        raise _layout(f"{name} carries more than its content")
    return name


def _in_place(file: IO[bytes], entries: list[tuple[tuple, str]], end: int) -> list[Entry]:
    """The files lie one behind the other from the first byte, each under a head that says what the list says."""
    found, at = [], 0
    for fields, name in entries:
        flags, method, crc, packed, size, offset = fields[3], fields[4], fields[7], fields[8], fields[9], fields[16]
        file.seek(at)
        head = file.read(_LOCAL.size + len(name))
        if offset != at or len(head) != _LOCAL.size + len(name):
            raise _layout(f"{name} does not lie where it must")
        mark, _, own_flags, own_method, _, _, own_crc, own_packed, own_size, length, extra = _LOCAL.unpack_from(head)
        same = (flags, method, crc, packed, size) == (own_flags, own_method, own_crc, own_packed, own_size)
        if mark != b"PK\x03\x04" or not same or length != len(name) or extra or head[_LOCAL.size :] != name.encode("ascii"):
            raise _layout(f"{name} is listed as another file")
        found.append(Entry(name, at + len(head), size, crc))
        at += len(head) + size
    if at != end:
        raise _layout("something lies between its files")
    return found


def _layout(said: str) -> CapsuleError:
    return CapsuleError("layout", f"The zip is not laid out as a capsule is: {said}.", UNCHANGED)
