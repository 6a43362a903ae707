"""The child of :mod:`extractors.media`: everything that touches the bytes of an upload happens here.

It answers on stdout with one JSON object a line: ``{"done": s, "total": s, "doing": str}`` on the way and at last ``{"result": {...}}`` or
``{"error": [code, message, hint]}``. When the parent is gone, the next line it writes ends it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable

import av

from extractors.arrays import load_array
from extractors.canonical import write_canonical
from extractors.errors import CineglassError, MediaError
from extractors.gate_limits import Limits
from extractors.gate_probe import probe
from extractors.grid import n_trs
from extractors.worker_process import broken, disk_full, limit_this_process, out_of_memory, read_job

SAY_EVERY_S = 0.25


def main() -> int:
    """Do the job that stdin names; always 0 when an answer was given."""
    return answer(_admit)


def answer(work: Callable[[dict], dict]) -> int:
    """Within the job's limits say what ``work`` makes of it, or why it cannot be done."""
    job = read_job()
    limit_this_process(job["memory_mb"], job["cpu_s"], job["file_mb"])
    try:
        say(result=work(job))
    except CineglassError as error:
        refuse(error)
    except MemoryError:
        refuse(out_of_memory())
    except BrokenPipeError:
        os._exit(1)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            refuse(disk_full())
        elif error.errno == errno.ENOMEM:
            refuse(out_of_memory())
        else:
            refuse(broken())
    except (ValueError, ArithmeticError, LookupError, RuntimeError, AssertionError):  # hostile numbers in the file; nothing of it is for a person
        refuse(broken())
    return 0


def say(**message) -> None:
    """One line to the parent."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def refuse(error: CineglassError) -> None:
    """Tell the parent why the film stays out."""
    say(error=[error.code, error.message, error.hint])


def _admit(job: dict) -> dict:
    box = tuple(job["box"])
    found = probe(job["upload"], job["demuxer"], Limits(**job["limits"]), box)
    doing = "Copying the film"
    if found.video is not None and found.video.reasons:
        doing = f"Converting the film ({found.duration:.0f} s, {n_trs(found.duration)} TRs)"
        found.notices.append(f"The picture was converted, because {_listed(found.video.reasons)}.")
    said = 0.0

    def tell(reached: float) -> None:
        nonlocal said
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            say(done=min(max(reached, 0.0), found.duration), total=found.duration, doing=doing)

    result = write_canonical(job["upload"], job["demuxer"], found, job["film"], job["samples"], box, tell)
    if result.pop("damaged"):
        found.notices.append("Some of the film is damaged and was left out.")
    result |= {
        "duration": found.duration,
        "video_key": video_key(job["film"]) if found.video is not None else None,
        "audio_key": audio_key(job["samples"]) if found.audio is not None else None,
        "facts": found.facts.to_dict(),
        "notices": found.notices,
    }
    return result


def _listed(reasons: list[str]) -> str:
    return " and ".join([", ".join(reasons[:-1]), reasons[-1]] if len(reasons) > 1 else reasons)


def video_key(path: str) -> str:
    """sha256 of the picture packets of the canonical film with their times in seconds."""
    digest = hashlib.sha256()
    with av.open(path, format="mov") as film:
        stream = film.streams.video[0]
        count = 0
        for packet in film.demux(stream):
            if packet.size:
                digest.update(f"{packet.pts * stream.time_base} {packet.size}\n".encode())
                digest.update(packet)
                count += 1
    if count == 0:
        raise MediaError("not_media", "Not one picture of the film can be decoded.", "Save it again as H.264 MP4.")
    return digest.hexdigest()


def audio_key(path: str) -> str:
    """sha256 of the 16 kHz samples."""
    return hashlib.sha256(load_array(path, mapped=True).data).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
