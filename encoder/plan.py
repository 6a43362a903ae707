"""What a run would take, before anything is loaded: which part of a published model runs where, in what number type, with how much memory and time.

Only ``config.json`` files and headers of weights are read. Figures are estimates: memory from the sizes of arrays, time from the arithmetic of the
forward passes and a short measurement of this machine. Several plans are made, the best first; when one runs out of memory the next is tried.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from encoder.needs import Need, audio_need, predictor_need, text_need, throughput, video_need
from extractors.backbone import Placement
from extractors.errors import ModelError
from extractors.hub_files import LocalModel, display_name, find_local, is_repository
from extractors.memory import free_bytes, total_bytes
from settings import Settings

if TYPE_CHECKING:
    from encoder.checkpoints import ModelFiles

GB = 1e9
ORDER = ("audio", "text", "video", "predictor")
"""Parts in the order they run."""

MARGIN = 0.9
"""Share of the free memory that a plan uses: estimates are rough, and other programs live too. A limit from the settings is taken as it is."""
HOST_BASE = 300_000_000
"""Bytes of host memory beside the parts: the decoder's process and the streams of the clip."""
DISK_RATE = 1e9
"""Bytes a second at which weights are assumed to come from the disk."""
EFFICIENCY = 0.5
"""Share of the speed of plain matrix products that whole forward passes are assumed to reach."""
CPU_BATCH = 2
"""Windows at a time on a CPU, which gains nothing from more."""
LONG_S = 3600.0
"""Seconds from which a plan advises another machine."""
WHERE = {"cpu": "CPU", "cuda": "GPU", "mps": "GPU"}


@dataclass(frozen=True)
class Part:
    """One part of a model and where it runs.

    Attributes
    ----------
    name : {"audio", "text", "video", "predictor"}
    title, source : str
        In words, and what its model is called.
    parameters, disk_bytes : int
        Of the layers that run; of the files.
    device, dtype : str
    batch : int
        Windows at a time.
    load_bytes, work_bytes : int
        Of the weights on the device, and beside them while it runs.
    seconds : float
        Expected for the whole clip, with loading.
    """

    name: str
    title: str
    source: str
    parameters: int
    disk_bytes: int
    device: str
    dtype: str
    batch: int
    load_bytes: int
    work_bytes: int
    seconds: float

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on a graphics processor."""
        return not self.device.startswith("cpu")


@dataclass(frozen=True)
class Plan:
    """Where every part of a model runs.

    Attributes
    ----------
    parts : tuple of Part
        In the order they run.
    low_mem : bool
        Parts are loaded one at a time and freed after use; otherwise they stay in memory for the next run.
    peak_gpu, peak_host : int
        Bytes expected at once.
    seconds : float
        Expected for the whole clip; an estimate.
    notes : tuple of str
        Plain sentences.
    ok : bool
        Whether it can run here.
    problem, way_out : str
        When it cannot: one sentence why, and what to do.
    later : tuple of Plan
        What to try, in order, when this one runs out of memory.
    """

    parts: tuple[Part, ...]
    low_mem: bool
    peak_gpu: int = 0
    peak_host: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    ok: bool = True
    problem: str = ""
    way_out: str = ""
    later: tuple[Plan, ...] = field(default=(), repr=False)

    def part(self, name: str) -> Part:
        """A part by name; KeyError when the plan has none of it."""
        return {part.name: part for part in self.parts}[name]

    def placement(self, name: str) -> Placement:
        """Where a part runs, for its backbone."""
        part = self.part(name)
        return Placement(part.device, part.dtype, part.batch, keep=not self.low_mem)

    def next(self) -> Plan | None:
        """What to try after this plan ran out of memory; None when nothing is left."""
        return replace(self.later[0], later=self.later[1:]) if self.later else None

    def check(self) -> None:
        """Raise ModelError ``not_on_this_machine`` when it cannot run here."""
        if not self.ok:
            raise ModelError("not_on_this_machine", self.problem, self.way_out)

    def summary(self) -> str:
        """What runs where, in one sentence."""
        where = {place: [part.title.lower() for part in self.parts if part.on_gpu == (place == "GPU")] for place in ("GPU", "CPU")}
        said = " and ".join(f"{', '.join(names)} on the {place}" for place, names in where.items() if names)
        return f"{said[:1].upper()}{said[1:]}; at most {self._peaks()}; about {_time(self.seconds)}"

    def facts(self) -> dict[str, Any]:
        """For a result's provenance, JSON-able."""
        parts = [{"name": part.name, "source": part.source, "device": part.device, "dtype": part.dtype} for part in self.parts]
        return {"parts": parts, "low_mem": self.low_mem, "expected_s": round(self.seconds, 1), "peak_gpu": self.peak_gpu, "peak_host": self.peak_host}

    def _peaks(self) -> str:
        return " and ".join(f"{_gb(peak)} {where}" for peak, where in ((self.peak_gpu, "GPU memory"), (self.peak_host, "host memory")) if peak)

    def rows(self) -> list[dict[str, str]]:
        """The table as text: part, model, where, numbers, memory, time."""
        return [
            {
                "part": part.title,
                "model": part.source,
                "where": WHERE.get(part.device.partition(":")[0], part.device),
                "numbers": part.dtype,
                "memory": f"{_gb(part.load_bytes)} + {_gb(part.work_bytes)} at work",
                "time": _time(part.seconds),
            }
            for part in self.parts
        ]

    def lines(self) -> list[str]:
        """The plan for people: the table, what it takes altogether, and notes."""
        rows = [dict(zip(COLUMNS, COLUMNS, strict=True)), *self.rows()]
        widths = {column: max(len(row[column]) for row in rows) for column in COLUMNS}
        said = ["  ".join(row[column].ljust(widths[column]) for column in COLUMNS).rstrip() for row in rows] if self.parts else []
        if self.ok:
            how = "one part at a time" if self.low_mem else "all parts stay loaded"
            said.append(f"At most {self._peaks()}, {how}; about {_time(self.seconds)} (an estimate).")
        else:
            said += [self.problem, self.way_out]
        return said + list(self.notes)


COLUMNS = ("part", "model", "where", "numbers", "memory", "time")


def make_plan(files: ModelFiles, *, duration_s: float, settings: Settings) -> Plan:
    """Plan a run of a model over a clip of ``duration_s`` seconds; weights are never loaded.

    Returns
    -------
    Plan
        The best one that fits; ``ok`` is False when files are missing or nothing fits.

    Raises
    ------
    ModelError
        ``"device_missing"`` when the settings ask for a device that is not here.
    """
    from encoder.checkpoints import choose_device

    device = choose_device(settings.device)
    try:
        needs = _needs(files, duration_s)
    except _Missing as missing:
        return Plan((), settings.low_mem, ok=False, problem=missing.problem, way_out=missing.way_out)
    except ModelError as error:
        return Plan((), settings.low_mem, ok=False, problem=error.message, way_out=error.hint)
    return plan_for(needs, device=device, free=_free(device, settings), low_mem=settings.low_mem)


def plan_for(needs: Mapping[str, Need], *, device: str, free: Mapping[str, float], low_mem: bool) -> Plan:
    """The best plan for these parts.

    Parameters
    ----------
    needs : mapping of str to Need
    device : str
        The one asked for; "cpu" leaves a GPU alone.
    free : mapping of str to float
        Bytes to plan with: "host", and "gpu" when there is one.
    low_mem : bool
        Only plans that load one part at a time.
    """
    fitting: list[Plan] = []
    for plan in _candidates(needs, device, free):
        same = any(plan.parts == other.parts and plan.low_mem == other.low_mem for other in fitting)
        if not same and (plan.low_mem or not low_mem):
            fitting.append(plan)
    if not fitting:
        return _nothing_fits(needs, device, free)
    return replace(fitting[0], later=tuple(fitting[1:]))


def _candidates(needs: Mapping[str, Need], device: str, free: Mapping[str, float]) -> Iterator[Plan]:
    gpu = device if device != "cpu" else None
    host = free["host"] - HOST_BASE
    if gpu:
        yield from _together(needs, gpu, free["gpu"])
        # one at a time: everything on the GPU that fits there, then also without the largest parts, for estimates may be wrong
        largest_first = sorted(needs, key=lambda name: _size(needs[name]), reverse=True)
        for left_out in range(len(needs)):
            kept_off = largest_first[:left_out]
            mixed = {name: (name not in kept_off and _alone(need, gpu, free["gpu"])) or _alone(need, "cpu", host) for name, need in needs.items()}
            if all(mixed.values()) and any(part.on_gpu for part in mixed.values()):
                yield _plan(mixed, needs, low_mem=True)
    yield from _together(needs, "cpu", host)
    one_by_one = {name: _alone(need, "cpu", host) for name, need in needs.items()}
    if all(one_by_one.values()):
        yield _plan(one_by_one, needs, low_mem=True)


def _together(needs: Mapping[str, Need], device: str, room: float) -> Iterator[Plan]:
    """All parts loaded at once on one device, if they fit: what is not at work still holds its weights."""
    weights = {name: need.load_bytes(_dtype(need, device)) for name, need in needs.items()}
    parts = {name: _part(need, device, _dtype(need, device), room - sum(weights.values()) + weights[name]) for name, need in needs.items()}
    if all(parts.values()):
        yield _plan(parts, needs, low_mem=False)


def _alone(need: Need, device: str, room: float) -> Part | None:
    """One part by itself on a device; on a CPU in half precision if it must be."""
    kinds = (_dtype(need, device), "bfloat16") if device == "cpu" and need.dtype != "float32" else (_dtype(need, device),)
    return next((part for part in (_part(need, device, dtype, room) for dtype in kinds) if part is not None), None)


def _part(need: Need, device: str, dtype: str, room: float) -> Part | None:
    """A part with the largest batch that fits into ``room`` bytes, or None."""
    batch = need.batch if device != "cpu" else min(need.batch, CPU_BATCH)
    load = need.load_bytes(dtype)
    while load + need.work_bytes(dtype, batch, device) > room:
        if batch == 1:
            return None
        batch //= 2
    seconds = need.flops / (EFFICIENCY * throughput(device, dtype)) + need.disk_bytes / DISK_RATE
    work = need.work_bytes(dtype, batch, device)
    return Part(need.name, need.title, need.source, need.parameters, need.disk_bytes, device, dtype, batch, load, work, seconds)


def _size(need: Need) -> int:
    return need.load_bytes(need.dtype) + need.work_bytes(need.dtype, need.batch, "cuda")


def _dtype(need: Need, device: str) -> str:
    # a CPU holds half precision but mostly computes it slowly; float32 holds every number of the half types exactly
    return need.dtype if device != "cpu" else "float32"


def _plan(parts: Mapping[str, Part], needs: Mapping[str, Need], *, low_mem: bool) -> Plan:
    on_gpu = [part for part in parts.values() if part.on_gpu]
    on_cpu = [part for part in parts.values() if not part.on_gpu]
    # tensors pass through host memory one by one on their way to the GPU
    passing = max((needs[part.name].largest * 4 for part in on_gpu), default=0)
    notes = []
    for part in on_cpu:
        published = needs[part.name].dtype
        if published != part.dtype:
            notes.append(f"{part.title}: the published features were made in {published} and here are made in {part.dtype}; numbers differ slightly.")
        elif part.dtype != "float32":
            notes.append(f"{part.title}: {part.dtype} on a CPU, whose numbers differ slightly from a GPU's.")
    seconds = sum(part.seconds for part in parts.values())
    if seconds > LONG_S and on_cpu:
        notes.append("This takes long without a large GPU: bake the clip on a machine that has one (python cli.py bake) and look at the result here.")
    return Plan(
        tuple(parts[name] for name in ORDER if name in parts),
        low_mem,
        _peak(on_gpu, low_mem),
        HOST_BASE + max(_peak(on_cpu, low_mem), passing),
        seconds,
        tuple(notes),
    )


def _peak(parts: list[Part], low_mem: bool) -> int:
    if low_mem:
        return max((part.load_bytes + part.work_bytes for part in parts), default=0)
    return sum(part.load_bytes for part in parts) + max((part.work_bytes for part in parts), default=0)


def _nothing_fits(needs: Mapping[str, Need], device: str, free: Mapping[str, float]) -> Plan:
    def least(need: Need) -> int:
        dtype = "float32" if need.dtype == "float32" else "bfloat16"
        return need.load_bytes(dtype) + need.work_bytes(dtype, 1, "cpu") + HOST_BASE

    largest = max(needs.values(), key=least)
    has = f"this machine has {_gb(free['host'])} free" + (f" and its GPU {_gb(free['gpu'])}" if device != "cpu" else "")
    return Plan(
        (),
        low_mem=True,
        ok=False,
        problem=f"The model needs {_gb(least(largest))} of memory for {largest.source}, but {has}.",
        way_out="Use a smaller variant, close other programs, or bake the clip on another machine (python cli.py bake).",
    )


def _free(device: str, settings: Settings) -> dict[str, float]:
    from extractors.warm import POOL

    # what the pool holds leaves when a part needs the room, or is that part
    def room(kind: str, given: float | None) -> float:
        return given * GB if given is not None else MARGIN * min(free_bytes(kind) + POOL.held(kind), total_bytes(kind))

    free = {"host": room("cpu", settings.memory_gb)}
    if device != "cpu":
        free["gpu"] = room(device, settings.gpu_memory_gb)
    return free


class _Missing(Exception):
    """Backbones that are not on this machine."""

    def __init__(self, problem: str, way_out: str):
        super().__init__(problem)
        self.problem, self.way_out = problem, way_out


def _needs(files: ModelFiles, duration_s: float) -> dict[str, Need]:
    config = files.config
    needs = {}
    if files.published:
        found = _backbones(files)
        needs["audio"] = audio_need(
            found["audio"], duration_s=duration_s, batch=config.audio_extractor_batch_size, layer_index=config.audio_extractor_last_layer_index
        )
        needs["text"] = text_need(
            found["text"], duration_s=duration_s, dtype=config.text_extractor_dtype, states=config.text_extractor_num_last_hidden_states
        )
        needs["video"] = video_need(
            found["video"],
            duration_s=duration_s,
            dtype=config.video_extractor_dtype,
            batch=config.video_extractor_batch_size,
            states=config.video_extractor_num_last_hidden_states,
        )
    needs["predictor"] = predictor_need(files.local, config, duration_s=duration_s)
    return needs


def _backbones(files: ModelFiles) -> dict[str, LocalModel]:
    sources = {stream: getattr(files.config, f"{stream}_extractor") for stream in ("audio", "text", "video")}
    found: dict[str, LocalModel] = {}
    missing: dict[str, ModelError] = {}
    for stream, source in sources.items():
        try:
            found[stream] = find_local(source, beside=files.folder)
        except ModelError as error:
            if error.code not in ("not_here", "incomplete"):
                raise
            missing[source] = error
    if missing:
        raise _Missing(*_what_is_missing(missing, files))
    return found


def _what_is_missing(missing: Mapping[str, ModelError], files: ModelFiles) -> tuple[str, str]:
    sizes = files.card.downloads

    def named(source: str) -> str:
        extra = [_gb(sizes[source])] if source in sizes else []
        extra += ["half downloaded"] if missing[source].code == "incomplete" else []
        return display_name(source) + (f" ({', '.join(extra)})" if extra else "")

    names = [named(source) for source in missing]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    problem = f"{files.local.name} also needs {listed}, which {'is' if len(names) == 1 else 'are'} not on this machine."
    if is_repository(files.local.source):
        return problem, f"Get what is missing with: python cli.py download-model {files.local.source}"
    if all(is_repository(source) for source in missing):
        return problem, "Get what is missing with: " + " && ".join(f"python cli.py download-model {source}" for source in missing)
    return problem, " ".join(dict.fromkeys(error.hint for error in missing.values()))


def _gb(count: float) -> str:
    return f"{count / GB:.1f} GB" if count >= 0.1 * GB else f"{math.ceil(count / 1e6)} MB"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
