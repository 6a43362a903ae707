from __future__ import annotations

import re

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from encoder.cards import read_card
from extractors.tr_table import edit_row, no_words, table_from_words
from extractors.transcript import Word
from settings import ASSETS, ROOT
from tests.unit.test_responses import some_ensemble, some_responses
from viz.methods import citations, methods_text, program_version, rows_in_words

CLASSICAL = {"audio": "classical-audio-1", "text": "classical-text-1", "video": "classical-video-1"}
BACKBONES = {
    "audio": "vibe-audio-1 ast-finetuned-audioset-10-10-0.4593",
    "text": "vibe-text-1 Qwen2.5-14B",
    "video": "vibe-video-1 vjepa2-vitg-fpc64-256",
}
EMBEDDED = {"model_id": "vibe-sim", "model_title": "Textbook simulation", "extractor_ids": CLASSICAL}
PUBLISHED = {"simulated": False, "model_id": "ShreyDixit/VIBE-Qwen2.5-14B", "model_title": "VIBE", "extractor_ids": BACKBONES}


def some_words(rows=50, **changes):
    words = [Word("one", 1.0, 0.2), Word("two", 2.1, 0.4), Word("three", 30, 0.5)]
    return table_from_words(words, rows, **{"source": "pocketsphinx en-us", "timing": "recognised", "language": "en", **changes})


def card(name):
    return read_card(ASSETS / "models" / name / "card.yaml")


def keys(responses):
    return [citation.key for citation in citations(responses)]


def test_a_simulated_result_is_never_told_as_a_measured_or_a_persons_one():
    text = methods_text(some_responses(**EMBEDDED), some_words(), card("vibe-sim"))
    assert "No brain was measured" in text
    assert "simulated subjects only" in text
    assert "no evidence about any person's brain" in text
    assert "Sim 1, Sim 2, Sim 3 and Sim 5" in text
    assert "Subject " not in text
    assert "scanner" not in text


def test_a_published_models_result_says_that_nobody_was_scanned():
    text = methods_text(some_responses(**PUBLISHED), some_words(), card("vibe"))
    assert "Nobody watched this film in a scanner" in text
    assert "Subject 1, Subject 2, Subject 3 and Subject 5" in text
    assert "imulat" not in text
    assert "Sim " not in text


def test_the_accuracy_is_that_of_the_card_and_unknown_without_one():
    simulated, published = some_responses(**EMBEDDED), some_responses(**PUBLISHED)
    said = methods_text(simulated, no_words(50), card("vibe-sim"))
    assert "had never been tested" in said
    for part in card("vibe-sim").recovery:
        assert f"r = {part.all.r:.3f}" in said
    assert "no accuracy" in said
    assert "0.3193" in methods_text(published, no_words(50), card("vibe"))
    assert "had never been tested" in methods_text(some_responses(extra={"accuracy": "never tested on measured brains"}), no_words(50))
    assert "Nothing was known about the model's accuracy" in methods_text(published, no_words(50))


def test_the_rule_of_rows_and_the_rows_kept_are_those_of_the_result():
    responses = some_responses(rows=50, extra={"window_s": 12.0})
    text = methods_text(responses, no_words(50))
    assert "floor(duration / 1.49 s) = 50 rows" in text
    assert "a last partial TR was dropped" in text
    kept = np.flatnonzero(responses.valid)
    assert f"Of the 50 rows, {len(kept)} (rows {kept[0]} to {kept[-1]}) were kept" in text
    assert "12 s, the longest window of an extractor" in text
    assert "every row was marked as not valid" in methods_text(some_responses(rows=12, valid=np.zeros(12, bool)), no_words(12))
    assert "All rows were kept" in methods_text(some_responses(rows=12, valid=np.ones(12, bool)), no_words(12))


@settings(deadline=None)
@given(st.sets(st.integers(0, 40)))
def test_rows_in_words_name_exactly_these_rows(rows):
    named = set()
    for first, last in re.findall(r"(\d+)(?: to (\d+))?", rows_in_words(sorted(rows))):
        named |= set(range(int(first), int(last or first) + 1))
    assert named == rows


def test_streams_that_were_missing_are_named_and_nothing_is_said_of_how_they_were_described():
    text = methods_text(some_responses(**EMBEDDED, present={"audio": False, "text": False, "video": True}), no_words(50))
    assert "The run was made without sound or words." in text
    assert "mel bands" not in text
    assert "surprisal" not in text
    assert "motion energy" in text
    assert "The run was made without" not in methods_text(some_responses(**EMBEDDED), some_words())


def test_the_words_are_counted_and_their_source_and_timing_are_told():
    text = methods_text(some_responses(**EMBEDDED, transcript_source="pocketsphinx en-us"), some_words())
    assert "The 3 words came from “pocketsphinx en-us”, language en, with the times at which they were heard" in text
    assert "their timing was a guess" in methods_text(some_responses(**EMBEDDED), some_words(timing="spread"))
    assert "held no words" in methods_text(some_responses(**EMBEDDED), no_words(50, source="known words"))
    assert "A person changed them in 1 row." in methods_text(some_responses(**EMBEDDED), edit_row(some_words(), 3, "two words"))


def test_edits_and_lesions_are_told_and_their_absence_too():
    changed = some_responses(edits=("sound muted",), lesions=("text stream", "audio stream"))
    text = methods_text(changed, no_words(50))
    assert "sound muted" in text
    assert "text stream and audio stream" in text
    assert "Neither the film" not in text
    assert "Neither the film nor the model was changed." in methods_text(some_responses(), no_words(50))


def test_an_ensemble_says_how_many_checkpoints_were_averaged():
    assert "The predictions of 3 checkpoints were averaged" in methods_text(some_ensemble(members=3)[0], no_words(50))
    assert "checkpoints" not in methods_text(some_responses(), no_words(50))


@pytest.mark.parametrize(
    ("calibrated", "said"), [("yes", "were calibrated on"), ("no", "not to be read as a size"), ("unknown", "not to be read as a size")]
)
def test_whether_a_difference_is_a_size_follows_the_calibration(calibrated, said):
    assert said in methods_text(some_responses(extra={"calibrated": calibrated}), no_words(50))


def test_the_programs_warnings_are_in_the_text():
    assert "The program warned: The words are a guess." in methods_text(some_responses(warnings=("The words are a guess",)), no_words(50))


@pytest.mark.parametrize("facts", [EMBEDDED, PUBLISHED, {**EMBEDDED, "present": {"audio": True, "text": False, "video": False}}])
def test_what_the_text_cites_is_in_the_list_and_the_other_way_round(facts):
    responses = some_responses(**facts)
    text = methods_text(responses, some_words())
    listed = {citation.short for citation in citations(responses)}
    assert {part for found in re.findall(r"\(([^()]*\d{4})\)", text) for part in found.split("; ")} == listed - {citations(responses)[0].short}


def test_works_are_chosen_by_what_was_used():
    always = {"cineglass", "gifford2025", "schaefer2018", "yeo2011"}
    assert set(keys(some_responses())) == always
    assert set(keys(some_responses(**EMBEDDED))) == always | {"schad2025", "nishimoto2011", "glover1999"}
    assert set(keys(some_responses(**PUBLISHED))) == always | {"schad2025", "qwen2024", "gong2021", "assran2025"}
    no_picture = {**PUBLISHED, "present": {"audio": True, "text": True, "video": False}}
    assert "assran2025" not in keys(some_responses(**no_picture))
    deaf = {**EMBEDDED, "present": {"audio": True, "text": False, "video": False}}
    assert "nishimoto2011" not in keys(some_responses(**deaf))


def test_every_work_is_one_of_the_citation_file_with_its_title_and_year():
    content = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    titles = {content["title"]: str(content["date-released"])[:4], **{work["title"]: str(work["year"]) for work in content["references"]}}
    cited = {citation.key: citation for facts in (EMBEDDED, PUBLISHED) for citation in citations(some_responses(**facts))}
    for citation in cited.values():
        (title,) = [title for title in titles if title in citation.text]
        assert f"({titles[title]})" in citation.text
        assert citation.bibtex.startswith("@")
        assert f"{{{citation.key}," in citation.bibtex
        assert f"title = {{{{{title}}}}}" in citation.bibtex
        assert citation.bibtex.count("{") == citation.bibtex.count("}")
    assert program_version() == content["version"]


def test_authors_are_written_as_a_reader_of_references_expects():
    cited = {citation.key: citation for facts in (EMBEDDED, PUBLISHED) for citation in citations(some_responses(**facts))}
    assert cited["schad2025"].text.startswith("Schad, D. C., Dixit, S., Keck, J., Studenyak, V., Shpilevoi, A. & Bicanski, A. (2025).")
    assert cited["yeo2011"].text.startswith("Yeo, B. T. T., et al. (2011).")
    assert cited["qwen2024"].short == "Qwen Team, 2024"
    assert "Yeo, B. T. Thomas and others" in cited["yeo2011"].bibtex


@settings(deadline=None)
@given(name=st.text(max_size=80), source=st.text(max_size=40))
@example(name="{schaefer2018}{nobody}{}", source="{0}")
@example(name="a\nb\x00\u202ec.mp4", source="file x\ty")
@example(name="\ud800.mp4", source="\udfff")
def test_names_of_others_stay_text_on_one_line(name, source):
    text = methods_text(some_responses(subjects=(1,), rows=12, clip_name=name, transcript_source=source), some_words(24))
    assert "\n" not in text
    assert text.encode("utf-8")
    assert text.isprintable() or not name.isprintable() or not source.isprintable()


def test_braces_in_a_films_name_are_kept_as_they_are():
    assert "“{schaefer2018} {0}”" in methods_text(some_responses(clip_name="{schaefer2018} {0}"), no_words(50))
