"""What a file is, judged by its first bytes and never by its name.

Only the containers named here are ever opened, each with its own demuxer forced, so that a playlist, a script or a picture that
calls itself ``clip.mp4`` cannot make the decoder read another file.
"""

from __future__ import annotations

from extractors.errors import MediaError

HEAD_BYTES = 4096
"""How much of the file :func:`sniff` wants to see."""

ACCEPTED = "MP4, MOV, M4A, WebM, MKV, AVI, WAV, MP3, FLAC or OGG"

_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"}
_STILL_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1"}
_PLAYLISTS = ((b"#extm3u", "HLS playlist"), (b"ffconcat", "ffconcat script"), (b"file ", "list of files"), (b"<mpd", "DASH playlist"),
              (b"[playlist]", "playlist"), (b"<asx", "playlist"), (b"v=0", "SDP session"))  # fmt: skip
_OTHERS = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a rar archive"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)


def sniff(head: bytes) -> str:
    """Name the demuxer for a file that begins with ``head``.

    Parameters
    ----------
    head : bytes
        The first :data:`HEAD_BYTES` bytes of the file, or all of it when it is shorter.

    Returns
    -------
    str
        ``"mov"``, ``"matroska"``, ``"avi"``, ``"wav"``, ``"mp3"``, ``"flac"`` or ``"ogg"``.

    Raises
    ------
    MediaError
        ``empty_file``, ``playlist`` or ``not_media``.
    """
    if not head:
        raise MediaError("empty_file", "The file is empty (0 bytes).", "Upload it again; the first upload may have been cut off.")
    demuxer = _container(head)
    if demuxer is not None:
        return demuxer
    text = head.lstrip(b"\xef\xbb\xbf\x00 \t\r\n").lower()
    for start, what in _PLAYLISTS:
        if text.startswith(start) or (start.startswith(b"<") and text.startswith(b"<") and start in text):
            raise MediaError("playlist", f"The file is not a film but {_a(what)} that points to other files.", "Upload the film itself.")
    raise MediaError("not_media", f"The file is not a film or sound: it is {_other(head, text)}.", f"Upload {ACCEPTED}.")


def _container(head: bytes) -> str | None:
    if head[4:8] in _BOXES and not (head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS):
        return "mov"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"AVIX"):
        return "avi"
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "wav"
    if head.startswith(b"fLaC"):
        return "flac"
    if head.startswith(b"OggS"):
        return "ogg"
    if head.startswith(b"ID3") or _is_mpeg_audio(head):
        return "mp3"
    return None


def _is_mpeg_audio(head: bytes) -> bool:
    """Whether ``head`` starts with an MPEG audio frame of a legal version, layer, bit rate and sample rate."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer, bit_rate, sample_rate = (head[1] >> 3) & 3, (head[1] >> 1) & 3, head[2] >> 4, (head[2] >> 2) & 3
    return version != 1 and layer != 0 and bit_rate not in (0, 15) and sample_rate != 3


def _other(head: bytes, text: bytes) -> str:
    for magic, what in _OTHERS:
        if head.startswith(magic):
            return what
    if head[4:8] == b"ftyp":
        return "a picture"
    if text.startswith((b"<!doctype", b"<html")):
        return "a web page"
    if text.startswith(b"<") and b"<svg" in text:
        return "a drawing (SVG)"
    return "of no kind we know"


def _a(what: str) -> str:
    return f"an {what}" if what.startswith(("HLS", "SDP", "ff")) else f"a {what}"
