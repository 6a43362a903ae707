"""The published text stream, against the causal language model with logits and all its hidden states."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Model

from extractors import vibe_text
from extractors.backbone import Placement
from extractors.clip import Clip
from extractors.errors import ModelError
from extractors.grid import TR
from extractors.hub_files import find_local
from extractors.stages import Stage
from extractors.streams import Stream
from extractors.transcript import Transcript
from extractors.vibe_text import VibeText, prompt, rows_of_tokens
from settings import Settings
from tests.tiny_vibe import TEXT_WIDTH, randomise, tiny_text
from tests.vibe_oracles.text import text_stream

PHRASE = "[Test]: people  talking, é. "
LINES = ("hello there, how are you", "", " ", "doing today? fine,", "thanks.", "", "the quick brown fox", "once upon a time")


def said(*lines: str, source: str = "file a.tsv") -> Transcript:
    empty = ((),) * len(lines)
    return Transcript(tuple(lines), empty, empty, empty, source=source)


def a_clip(rows: int) -> Clip:
    return Clip(Path("none"), None, "sha", "picture", None, "a.mp4", rows * TR, rows, 25.0, 160, 120)


@pytest.fixture(autouse=True)
def phrase(monkeypatch):
    monkeypatch.setattr(vibe_text, "priming_phrase", lambda settings: PHRASE)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tiny products only lose by sharing cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_text(tmp_path_factory.mktemp("backbone") / "text")


def extractor(folder: Path, **changes) -> VibeText:
    return VibeText(find_local(folder), **{"weights": "w" * 64, "settings": Settings(cache_dir=folder / "cache"), **changes})


def computed(extractor: VibeText, *lines: str) -> tuple[Stream, list[Stage]]:
    *stages, stream = extractor.compute(a_clip(len(lines)), said(*lines))
    return stream, stages


def test_the_stream_equals_the_causal_model_with_logits(folder):
    stream, _ = computed(extractor(folder), *LINES)
    assert stream.array.dtype == np.float32
    assert stream.array.shape == (len(LINES), TEXT_WIDTH) == (len(LINES), extractor(folder).dim)
    np.testing.assert_allclose(stream.array, text_stream(folder, LINES, PHRASE), atol=1e-4)
    assert stream.warnings == ()
    assert stream.unseen_rows == ()


@pytest.mark.parametrize("states", [1, 2, 5, 6])
def test_another_number_of_hidden_states_is_averaged(folder, states):
    stream, _ = computed(extractor(folder, states=states), *LINES)
    np.testing.assert_allclose(stream.array, text_stream(folder, LINES, PHRASE, states=states), atol=1e-4)


def test_more_hidden_states_than_there_are_is_refused_in_words(folder):
    for states in (0, 7):
        with pytest.raises(ModelError, match="must be 1 to 6") as caught:
            computed(extractor(folder, states=states), *LINES)
        assert caught.value.code == "no_such_layer"


def test_tokens_go_to_the_rows_of_the_reference():
    known = json.loads((Path(__file__).parents[1] / "data" / "vibe_text_spans.json").read_text())
    text, spans = prompt(known["lines"], known["metadata"])
    assert text == known["full_text"]
    assert [list(span) for span in spans] == known["char_spans"]
    rows = rows_of_tokens(known["token_offsets"], spans)
    assert [np.flatnonzero(rows == row).tolist() for row in range(len(spans))] == known["tokens_per_tr"]
    assert (rows[:7] == -1).all()


def test_a_token_over_several_rows_goes_to_the_first_and_one_that_ends_before_the_lines_to_none():
    spans = [(5, 8), (8, 9), (9, 12)]
    offsets = [(0, 5), (4, 6), (6, 9), (7, 12), (8, 9), (8, 8), (9, 9), (10, 10), (12, 14)]
    assert rows_of_tokens(offsets, spans).tolist() == [-1, 0, 0, 0, 1, -1, -1, 2, -1]
    assert rows_of_tokens([(0, 3)], []).tolist() == [-1]
    assert rows_of_tokens([], spans).tolist() == []


HOSTILE = {
    "emoji": ("👩‍👩‍👧‍👦 hi 🧠", "", "🏳️‍🌈", "é\u0301 ﷺ"),
    "special": ("<|endoftext|>", "[Metadata]: \n", "<script>alert(1)</script>", "\x00\x07"),
    "long": ("a" * 150, "", "fox " * 30, "ends"),
    "inner lines": ("one\ntwo\n", "\n\n", "\r\n", "\u2028"),
    "silent": ("", "", "", ""),
    "spaces": (" ", "   ", "\t", " \n "),
}


@pytest.mark.parametrize("lines", HOSTILE.values(), ids=HOSTILE)
def test_strange_text_is_read_as_it_is(folder, lines):
    stream, _ = computed(extractor(folder), *lines)
    np.testing.assert_allclose(stream.array, text_stream(folder, lines, PHRASE), atol=1e-4)
    assert np.isfinite(stream.array).all()


def test_half_a_surrogate_pair_is_read_as_a_question_mark(folder):
    stream, _ = computed(extractor(folder), "hello \ud83d there", "fox")
    np.testing.assert_allclose(stream.array, text_stream(folder, ["hello ? there", "fox"], PHRASE), atol=1e-4)


def test_a_row_whose_characters_all_belong_to_another_rows_token_is_zeros(folder, monkeypatch):
    whole = VibeText._tokens
    monkeypatch.setattr(VibeText, "_tokens", lambda self, lines: (lambda ids, rows: (ids, np.where(rows == 3, 2, rows)))(*whole(self, lines)))
    stream, _ = computed(extractor(folder), *LINES)
    assert not stream.array[3].any()
    assert stream.array[2].any()
    assert stream.array[4].any()
    assert stream.unseen_rows == ()


def test_an_empty_line_and_a_blank_are_different(folder):
    empty, _ = computed(extractor(folder), "hello", "", "there")
    blank, _ = computed(extractor(folder), "hello", " ", "there")
    assert np.abs(empty.array[1] - blank.array[1]).max() > 1e-3


def test_without_the_priming_phrase_the_run_goes_on_and_warns(folder, monkeypatch):
    monkeypatch.setattr(vibe_text, "priming_phrase", lambda settings: None)
    stream, _ = computed(extractor(folder), *LINES)
    np.testing.assert_allclose(stream.array, text_stream(folder, LINES, None), atol=1e-4)
    assert len(stream.warnings) == 1
    assert "could not be fetched" in stream.warnings[0]
    assert stream.unseen_rows == ()


def test_the_phrase_is_asked_for_once_so_that_a_stream_and_its_key_agree(folder, monkeypatch):
    answers = iter([None, PHRASE])
    monkeypatch.setattr(vibe_text, "priming_phrase", lambda settings: next(answers))
    one = extractor(folder)
    assert one.content(a_clip(2), said("hello", "fox"))["parameters"]["priming"] is None
    stream, _ = computed(one, "hello", "fox")
    assert stream.warnings


def test_a_transcript_beyond_the_context_is_cut_with_a_warning_and_its_rows_are_marked(tmp_path):
    folder = tiny_text(tmp_path / "short", context=60)
    lines = ["hello there fox"] * 5 + [""] + ["the quick brown fox"] * 100
    stream, _ = computed(extractor(folder), *lines)
    expected = text_stream(folder, lines, PHRASE)
    np.testing.assert_allclose(stream.array, expected, atol=1e-4)
    first = stream.unseen_rows[0]
    assert 1 <= first < 20
    assert stream.unseen_rows == tuple(range(first, len(lines)))
    assert stream.array[first - 1].any()
    assert not stream.array[first + 1 :].any()
    (warning,) = stream.warnings
    assert "reads 60" in warning
    assert f"TR {first} " in warning
    assert f"(0:{int(first * TR):02d} of the film)" in warning


def test_a_context_shorter_than_the_prompt_leaves_every_row_unseen(tmp_path):
    folder = tiny_text(tmp_path / "none", context=5)
    stream, _ = computed(extractor(folder), "hello", "fox")
    assert stream.unseen_rows == (0, 1)
    assert not stream.array.any()


def test_base_model_files_load_like_those_with_an_output_head(folder, tmp_path):
    import shutil

    plain = tmp_path / "plain"
    Qwen2Model.from_pretrained(folder).save_pretrained(plain)
    shutil.copy(folder / "tokenizer.json", plain)
    shutil.copy(folder / "tokenizer_config.json", plain)
    np.testing.assert_allclose(computed(extractor(plain), *LINES)[0].array, computed(extractor(folder), *LINES)[0].array, atol=1e-6)


def test_a_missing_tokenizer_is_one_sentence(tmp_path):
    folder = tiny_text(tmp_path / "mute")
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ModelError, match="tokenizer") as caught:
        computed(extractor(folder), *LINES)
    assert caught.value.code == "tokenizer_unusable"
    assert str(tmp_path) not in str(caught.value) + caught.value.hint


def test_a_tokenizer_with_more_words_than_the_model_knows_is_refused(folder, tmp_path):
    larger = tiny_text(tmp_path / "text")
    tokenizer = json.loads((larger / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["Ċ"], vocabulary["unheard"] = len(vocabulary), vocabulary["Ċ"]  # the newline
    (larger / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ModelError, match="belongs to another model") as caught:
        computed(extractor(larger), *LINES)
    assert caught.value.code == "tokenizer_unusable"


def test_half_precision_stays_close_and_rows_come_as_float32(folder):
    exact, _ = computed(extractor(folder), *LINES)
    half, _ = computed(extractor(folder, placement=Placement(dtype="bfloat16")), *LINES)
    assert half.array.dtype == np.float32
    assert 0 < np.abs(half.array - exact.array).max() < 0.2


def test_the_key_changes_with_everything_that_changes_the_stream_and_with_nothing_else(folder, monkeypatch, tmp_path):
    def key(*lines, clip=a_clip(2), **changes):
        return json.dumps(extractor(folder, **changes).content(clip, said(*(lines or ("hello", "")))), sort_keys=True)

    assert key() == key(placement=Placement(batch=1, keep=True)) == key(clip=replace(a_clip(2), video_key="other", name="b"))
    different = [key(), key("hello", " "), key("hello\n", ""), key(states=3), key(weights="v" * 64), key(placement=Placement(dtype="float16"))]
    monkeypatch.setattr(vibe_text, "priming_phrase", lambda settings: None)
    different += [key()]
    folder = tiny_text(tmp_path / "text", context=100)
    different += [key()]
    config, tokenizer = folder / "config.json", folder / "tokenizer.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "rms_norm_eps": 0.1}))
    different += [key()]
    tokenizer.write_text(tokenizer.read_text() + " ")
    different += [key()]
    assert len(set(different)) == len(different)
    assert PHRASE not in "".join(different)
    assert str(folder.parent) not in "".join(different)
    assert extractor(folder).content(a_clip(1), said("", source="none")) is None


def test_the_id_names_the_backbone_but_never_a_path(folder):
    assert extractor(folder).id == "vibe-text-1 text"
    assert extractor(folder).window_s == 0.0


def test_progress_counts_layers(folder):
    _, stages = computed(extractor(folder), *LINES)
    assert {stage.name for stage in stages} == {"text"}
    assert stages[0].message == "Loading text"
    assert stages[-1].finished
    assert stages[-1].total == 5
    assert not any(stage.finished for stage in stages[:-1])


def test_closing_stops_within_two_seconds_inside_the_forward_pass(tmp_path):
    folder = tiny_text(tmp_path / "slow", context=8192)
    config = Qwen2Config.from_pretrained(folder)
    wide = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 24, "layer_types": None}
    model = Qwen2ForCausalLM(Qwen2Config(**{**config.to_dict(), **wide}))
    randomise(model, 0)
    model.save_pretrained(folder)
    lines = ["the quick brown fox jumps over the lazy dog"] * 300
    job = extractor(folder).compute(a_clip(len(lines)), said(*lines))
    for stage in job:
        if stage.message.startswith("Words:"):
            break
    assert stage.done < 24
    start = time.monotonic()
    job.close()
    while any(thread.name == "work-text" for thread in threading.enumerate()):  # the work itself ends, not only the waiting for it
        assert time.monotonic() - start < 4  # a quiet machine takes less than 2 s; tests share its cores
        time.sleep(0.01)
