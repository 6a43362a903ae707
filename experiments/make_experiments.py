"""The ready-made experiments: planted effects, run on the embedded model, with what was told and what came back.

``make experiments`` (``ONLY="ID ..."`` for some) runs them and writes ``assets/experiments``; after every new model run it again. The sentence on
what the model returned is filled with the figures of that run, and :func:`recovered` decides whether the planted rule came back.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from encoder.curves import curve_ids
from encoder.training.simulate import RULES
from experiments.comparison import Comparison, compare
from experiments.comparison_files import save_comparison
from experiments.conditions import Condition
from experiments.design_files import DESIGN, design_facts
from experiments.examples import load_example
from experiments.factorial import Factorial, crossed
from experiments.findings import table
from experiments.predict import predict
from experiments.ready_made import EXPERIMENTS, FACTS
from extractors.grid import TR
from extractors.stages import last, passing_on
from extractors.tr_table import no_words
from settings import Settings

DELAY_TRS = 3
INSIDE = 0.9
"""Share of rows of a null edit that stay inside the band of the others."""
SIDE_SECONDS = 36


@dataclass(frozen=True)
class Plan:
    """One experiment before it has run.

    Attributes
    ----------
    id, title, question, told : str
    rule : str
        ``parcels`` of the rule in :data:`encoder.training.simulate.RULES` whose source is quoted.
    base : str
        Example whose result is A; "" when ``films`` makes both.
    edits, lesions : str
    opens_with : tuple of str
    measure : callable
        Takes the Comparison (or, for a design, the Factorial), gives (the sentence on what came back, whether the planted rule did).
    design : tuple of two str
        Edits to cross, for a two-by-two design.
    """

    id: str
    title: str
    question: str
    told: str
    rule: str
    base: str
    opens_with: tuple[str, ...]
    measure: Callable[[Any], tuple[str, bool]]
    edits: str = ""
    lesions: str = ""
    design: tuple[str, str] | None = None

    @property
    def source(self) -> str:
        """Where the rule comes from."""
        return next(rule.source for rule in RULES if rule.parcels.startswith(self.rule))


def _sizes(comparison: Comparison) -> dict[str, dict[str, Any]]:
    return {row["curve"]: row for row in table(comparison, None)}


def _percent(size: float) -> str:
    return f"{100 * size:.0f} %"


def _mute(comparison: Comparison) -> tuple[str, bool]:
    rows = _sizes(comparison)
    heard, seen = rows["Auditory"], rows["Vis"]
    seen_ = f"visual ones by {_percent(seen['change'])}"
    said = f"auditory parcels change by {_percent(heard['change'])} (mean A − B {heard['difference']:.2f} z), {seen_}."
    return said, heard["outside"] and heard["difference"] > 0 and heard["change"] > 4 * seen["change"]


def _blank(comparison: Comparison) -> tuple[str, bool]:
    rows = _sizes(comparison)
    seen, attending, heard = rows["Vis"], rows["DorsAttn"], rows["Auditory"]
    said = (
        f"Vis changes by {_percent(seen['change'])} (mean A − B {seen['difference']:.2f} z), DorsAttn by {_percent(attending['change'])}, "
        f"auditory parcels by {_percent(heard['change'])}."
    )
    return said, seen["outside"] and attending["outside"] and seen["difference"] > 0 and seen["change"] > 4 * heard["change"]


def _reversed_speech(comparison: Comparison) -> tuple[str, bool]:
    a, b = (curves[-1][comparison.valid] for curves in comparison.curves)
    heard, said_ = curve_ids().index("Auditory"), curve_ids().index("LanguageTemporal")
    sound, language = b[:, heard].std() / a[:, heard].std(), (a[:, said_].mean(), b[:, said_].mean())
    text = f"auditory parcels keep {_percent(sound)} of their SD, while temporal language goes from {language[0]:.2f} to {language[1]:.2f} z."
    return text, sound > 0.6 and language[0] - language[1] > 0.2


def _text_lesion(comparison: Comparison) -> tuple[str, bool]:
    a, b = (curves[-1][comparison.valid].std(0) for curves in comparison.curves)
    kept = {curve: b[curve_ids().index(curve)] / a[curve_ids().index(curve)] for curve in ("LanguageTemporal", "LanguageFrontal", "Auditory")}
    said = (
        f"without the ups and downs of its word stream temporal language keeps {_percent(kept['LanguageTemporal'])} of its SD, frontal language "
        f"{_percent(kept['LanguageFrontal'])}, auditory parcels {_percent(kept['Auditory'])}: the film is the same, the model lost its words."
    )
    return said, max(kept["LanguageTemporal"], kept["LanguageFrontal"]) < 0.7 and kept["Auditory"] > 0.85


def lag_of(first: np.ndarray, second: np.ndarray, *, most: int = 8) -> int:
    """Rows by which ``second`` follows ``first`` [T]: the lag, at most ``most``, of their largest correlation."""
    lags = range(-most, most + 1)
    rows = len(first)
    at = [np.corrcoef(first[max(0, -lag) : rows - max(0, lag)], second[max(0, lag) : rows - max(0, -lag)])[0, 1] for lag in lags]
    return int(np.argmax(at)) - most


def _delay(comparison: Comparison) -> tuple[str, bool]:
    a, b = (curves[-1][comparison.valid] for curves in comparison.curves)
    heard, seen = (lag_of(a[:, place], b[:, place]) for place in (curve_ids().index("Auditory"), curve_ids().index("Vis")))
    said = f"the auditory curve of B follows that of A by {heard} TRs ({heard * TR:.2f} s), the visual one by {seen}."
    return said, heard == DELAY_TRS and seen == 0


def _sides(comparison: Comparison) -> tuple[str, bool]:
    rows = _sizes(comparison)
    left, right = rows["Vis-L"]["difference"], rows["Vis-R"]["difference"]
    said = f"with motion on the left, the left half of Vis answers {left:+.2f} z and the right half {right:+.2f} z against motion on the right."
    return said, right > 0.1 and left < -0.1


def _null(comparison: Comparison) -> tuple[str, bool]:
    a, b = comparison.curves
    apart = np.abs(a[-1] - b[-1])[comparison.valid]
    inside = (apart <= comparison.null.half_width[:, -1].T[comparison.valid]).mean()
    rows = _sizes(comparison)
    largest = max(row["change"] for row in rows.values() if row["change"] is not None)
    said = f"{_percent(inside)} of all rows lie within the sensitivity to ten other small changes; no curve changes by more than {_percent(largest)}."
    return said, inside >= INSIDE


def _both(found: Factorial) -> tuple[str, bool]:
    rows = found.frame()
    seen, heard = rows.loc["Vis", "first"], rows.loc["Auditory", "second"]
    crossed_ = max(abs(rows.loc["Vis", "interaction"]), abs(rows.loc["Auditory", "interaction"]))
    said = (
        f"taking the picture away lowers Vis by {-seen:.2f} z, taking the sound away lowers auditory parcels by {-heard:.2f} z, and the two hardly "
        f"depend on each other there (interaction at most {crossed_:.2f} z)."
    )
    return said, seen < 0 and heard < 0 and crossed_ < 0.5 * min(-seen, -heard)


PLANS = (
    Plan(
        "mute",
        "Mute the sound",
        "Which networks change when nobody hears the film?",
        "auditory parcels, which lie inside SomMot, follow the sound; visual parcels follow the picture alone.",
        "Auditory",
        "eyes-and-ears",
        ("Auditory", "Vis", "SomMot"),
        _mute,
        edits="mute",
    ),
    Plan(
        "blank",
        "Blank the picture",
        "Which networks change when nobody sees the film?",
        "visual parcels and the dorsal attention network follow the picture; auditory parcels follow the sound alone.",
        "Vis",
        "eyes-and-ears",
        ("Vis", "DorsAttn", "Auditory"),
        _blank,
        edits="blank colour=black",
    ),
    Plan(
        "reversed-speech",
        "Speech played backwards",
        "What is left of a story when it cannot be understood?",
        "auditory parcels follow the sound whatever it says; language parcels follow words.",
        "Temporal and frontal language",
        "a-story-told",
        ("Auditory", "LanguageTemporal", "Default"),
        _reversed_speech,
        edits="reverse track=sound",
    ),
    Plan(
        "without-words",
        "A model without words",
        "What does the model use its word stream for?",
        "language parcels follow words, auditory parcels follow the sound.",
        "Temporal and frontal language",
        "a-story-told",
        ("LanguageTemporal", "LanguageFrontal", "Auditory"),
        _text_lesion,
        lesions="text mean",
    ),
    Plan(
        "delayed-sound",
        "Sound that comes late",
        "Does the response follow the sound, second for second?",
        f"auditory parcels answer to the sound when it comes, so sound delayed by {DELAY_TRS * TR:.2f} s moves their curves by {DELAY_TRS} TRs.",
        "Auditory",
        "eyes-and-ears",
        ("Auditory", "Vis"),
        _delay,
        edits=f"delay seconds={DELAY_TRS * TR:.2f}",
    ),
    Plan(
        "left-and-right",
        "Motion left against motion right",
        "Which half of the visual cortex answers to which half of the picture?",
        "each half of Vis follows what moves in the opposite half of the picture.",
        "Vis",
        "",
        ("Vis-L", "Vis-R"),
        _sides,
    ),
    Plan(
        "hardly-anything",
        "A change that should not matter",
        "How much does the prediction move when the film is the same for every eye and ear?",
        "nothing of loudness: it is the same film, 0.7 dB louder.",
        "Auditory",
        "eyes-and-ears",
        ("Vis", "Auditory"),
        _null,
        edits="gain db=0.7",
    ),
    Plan(
        "picture-by-sound",
        "Picture and sound, crossed",
        "Does what the picture does depend on the sound?",
        "Vis follows the picture and auditory parcels follow the sound, each whether the other is there or not.",
        "Vis",
        "eyes-and-ears",
        ("Vis", "Auditory"),
        _both,
        design=("blank colour=black", "mute"),
    ),
)


def run_plan(plan: Plan, *, settings: Settings) -> Generator[Any, None, None]:
    """Run an experiment.

    Yields
    ------
    Stage
        The last item is the tuple (Comparison, Factorial or None).
    """
    if not plan.base:
        films = yield from passing_on(_two_sides(settings))
        labels = {"label_a": films[0].label, "label_b": films[1].label}
        comparison = yield from passing_on(compare(films[0], films[1], settings=settings, **labels))
        yield comparison, None
        return
    _, base = load_example(plan.base, settings)
    edits = "; ".join(plan.design) if plan.design else plan.edits
    comparison = yield from passing_on(compare(base, edits, lesions=plan.lesions, settings=settings, label_b=plan.title))
    found = None
    if plan.design:
        how = {"factors": ("picture", "sound"), "settings": settings}
        found = yield from passing_on(crossed(comparison.a, *plan.design, **how))
    yield comparison, found


def recovered(plan: Plan, comparison: Comparison, design: Factorial | None) -> tuple[str, bool]:
    """What the model returned, in a sentence, and whether that is the planted rule."""
    said, came_back = plan.measure(design if design is not None else comparison)
    return said, bool(came_back)


def write_experiment(plan: Plan, order: int, comparison: Comparison, design: Factorial | None, folder: Path) -> bool:
    """Write one experiment's folder; says whether the rule came back."""
    said, came_back = recovered(plan, comparison, design)
    shutil.rmtree(folder, ignore_errors=True)
    save_comparison(comparison, folder, base=not plan.base)
    if design is not None:
        (folder / DESIGN).write_text(json.dumps(design_facts(design), ensure_ascii=False) + "\n", encoding="utf-8")
    facts = {
        "title": plan.title,
        "question": plan.question,
        "told": plan.told,
        "source": plan.source,
        "returned": said,
        "base": plan.base,
        "opens_with": list(plan.opens_with),
        "order": order,
    }
    (folder / FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return came_back


def _two_sides(settings: Settings) -> Generator[Any, None, None]:
    """Two silent films that differ in the side that moves, as conditions; the last item is both."""
    from experiments.example_canvas import HEIGHT, WIDTH
    from experiments.example_motion import wheels
    from experiments.example_music import SAMPLE_RATE
    from experiments.make_examples import FPS
    from experiments.write_film import write_film

    conditions = []
    with tempfile.TemporaryDirectory() as place:
        for side in ("left", "right"):
            path = Path(place) / f"motion-{side}.mp4"
            still = 4.0  # seconds before anything moves
            times = (k / FPS for k in range(SIDE_SECONDS * FPS))
            frames = (wheels(max(0.0, time - still), moving=side if time >= still else "none") for time in times)
            silence = np.zeros(SIDE_SECONDS * SAMPLE_RATE, np.float32)
            write_film(path, frames, silence, size=(HEIGHT, WIDTH), fps=FPS, sample_rate=SAMPLE_RATE, quality=34, preset="slow", tune="animation")
            result = yield from passing_on(predict(path, recogniser="none", settings=settings))
            conditions.append(Condition(film=result.clip, transcript=no_words(result.clip.n_trs), label=f"motion on the {side}"))
    yield tuple(conditions)


def main() -> int:
    """All experiments, or those named; the exit status says whether a planted rule did not come back."""
    lost = []
    with tempfile.TemporaryDirectory() as place:
        settings = Settings(cache_dir=Path(place))
        for order, plan in enumerate(PLANS, 1):
            if sys.argv[1:] and plan.id not in sys.argv[1:]:
                continue
            comparison, design = last(run_plan(plan, settings=settings))
            folder = EXPERIMENTS / plan.id
            came_back = write_experiment(plan, order, comparison, design, folder)
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
            print(f"{plan.id}: {'recovered' if came_back else 'NOT RECOVERED'}, {size:.2f} MB. {recovered(plan, comparison, design)[0]}", flush=True)
            if not came_back:
                lost.append(plan.id)
    return len(lost)


if __name__ == "__main__":
    sys.exit(main())
