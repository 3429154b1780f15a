"""Say in a few words what binary data is. Knows the first bytes of common kinds of files."""

from __future__ import annotations

_KINDS = (
    (b"\x89PNG\r\n\x1a\n", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"GIF8", "GIF image"),
    (b"BM", "BMP image"),
    (b"II*\0", "TIFF image"),
    (b"MM\0*", "TIFF image"),
    (b"%PDF-", "PDF document"),
    (b"PK\x03\x04", "ZIP archive"),
    (b"\x1f\x8b", "gzip archive"),
    (b"ID3", "MP3 audio"),
    (b"OggS", "Ogg audio"),
    (b"fLaC", "FLAC audio"),
    (b"\x7fELF", "ELF program"),
    (b"SQLite format 3\0", "SQLite database"),
    (b"GGUF", "GGUF model"),
)
_RIFF = {b"WEBP": "WebP image", b"WAVE": "WAV audio", b"AVI ": "AVI video"}


def described(data: bytes) -> str:
    """For example "a PNG image, 640 x 480, 12,345 bytes"."""
    kind = next((kind for start, kind in _KINDS if data.startswith(start)), "")
    if data.startswith(b"RIFF"):
        kind = _RIFF.get(data[8:12], "")
    if data[4:8] == b"ftyp":
        kind = "MP4 video"
    article = "an" if kind[:1] in "AEIOFM" and kind.split(" ")[0] in ("AVI", "Ogg", "ELF", "MP3", "MP4") else "a"
    size = f"{len(data):,} byte{'' if len(data) == 1 else 's'}"
    return ", ".join([f"{article} {kind}" if kind else "binary data", *_pixels(data, kind), size])


def _pixels(data: bytes, kind: str) -> list[str]:
    if kind == "PNG image" and len(data) >= 24:
        return [f"{int.from_bytes(data[16:20], 'big')} x {int.from_bytes(data[20:24], 'big')}"]
    if kind == "GIF image" and len(data) >= 10:
        return [f"{int.from_bytes(data[6:8], 'little')} x {int.from_bytes(data[8:10], 'little')}"]
    return []
