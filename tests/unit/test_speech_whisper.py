"""Whisper: the real faster-whisper and CTranslate2 on a tiny model with random weights, and the look-up of weights.

What a random model says means nothing; that its worker runs, its words keep to the speech and nothing reaches for the network does.
"""

import socket
from pathlib import Path

import numpy as np
import pytest
from speech_material import RATE, clip_of, gradio_sound, two_sentences

from extractors.errors import SpeechError
from extractors.recognise_whisper import LONGEST_PIECE_S, download_whisper, find_weights, join, options
from extractors.speech import available, choose, transcribe
from extractors.stages import last
from extractors.vad import Span, find_speech
from settings import Settings


def make_tiny_whisper(folder: Path) -> Path:
    """A one-layer Whisper of width 16 with random weights that prefers letters and spaces, and a byte-level tokenizer."""
    import tokenizers
    from ctranslate2.specs.whisper_spec import WhisperSpec
    from faster_whisper.tokenizer import _LANGUAGE_CODES
    from tokenizers import decoders, models, pre_tokenizers

    folder.mkdir()
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    languages = [f"<|{code}|>" for code in _LANGUAGE_CODES]
    marks = ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    special = ["<|endoftext|>", "<|startoftranscript|>", *languages, *marks]
    stamps = [f"<|{k * 0.02:.2f}|>" for k in range(1501)]
    vocabulary = letters + special + stamps
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab={token: k for k, token in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([tokenizers.AddedToken(token, special=True) for token in special + stamps])
    tokenizer.save(str(folder / "tokenizer.json"))

    random, width = np.random.default_rng(0), 16

    def weights(*shape):
        return (random.standard_normal(shape) * 0.3).astype(np.float32)

    def linear(layer, rows, columns):
        layer.weight, layer.bias = weights(rows, columns), weights(rows)

    def norm(layer):
        layer.gamma, layer.beta = np.ones(width, np.float32), np.zeros(width, np.float32)

    def feed_forward(layer):
        norm(layer.layer_norm)
        linear(layer.linear_0, 4 * width, width)
        linear(layer.linear_1, width, 4 * width)

    def self_attention(layer):
        norm(layer.layer_norm)
        linear(layer.linear[0], 3 * width, width)
        linear(layer.linear[1], width, width)

    spec = WhisperSpec(1, 1, 1, 1)
    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = weights(width, 80, 3), weights(width)
    encoder.conv2.weight, encoder.conv2.bias = weights(width, width, 3), weights(width)
    encoder.position_encodings.encodings = weights(1500, width)
    decoder.embeddings.weight, decoder.position_encodings.encodings = weights(len(vocabulary), width), 4 * weights(448, width)
    for part in (encoder, decoder):
        norm(part.layer_norm)
        self_attention(part.layer[0].self_attention)
        feed_forward(part.layer[0].ffn)
    across = decoder.layer[0].attention
    norm(across.layer_norm)
    for layer, rows in zip(across.linear, (width, 2 * width, width), strict=True):
        linear(layer, rows, width)
    bias = np.full(len(vocabulary), -9, np.float32)
    bias[[vocabulary.index(letter) for letter in "abcdefghijklmnopqrstuvwxyz"]] = 0
    bias[vocabulary.index("Ġ")], bias[vocabulary.index("<|endoftext|>")] = 1.5, -0.5
    bias[-len(stamps) :] = -5
    decoder.projection.weight, decoder.projection.bias = weights(len(vocabulary), width), bias
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids, spec.config.suppress_ids_begin, spec.config.alignment_heads = [], [], [(0, 0)]
    spec.config.lang_ids = [vocabulary.index(language) for language in languages]
    spec.validate()
    spec.optimize()
    spec.save(str(folder))
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return make_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny-random")


def refused(name) -> SpeechError:
    with pytest.raises(SpeechError) as caught:
        find_weights(name)
    assert caught.value.hint
    return caught.value


def test_whisper_runs_in_its_child_and_its_words_keep_to_the_speech(weights, tmp_path):
    samples = np.concatenate([two_sentences()[0], np.zeros(RATE * 3), gradio_sound("cate_blanch.mp3"), gradio_sound("sax.wav")])
    clip = clip_of(samples, tmp_path)
    settings = Settings(cache_dir=tmp_path / "cache", whisper_model=str(weights), language="en", whisper_device="cpu")
    transcript = last(transcribe(clip, settings=settings))
    assert transcript.source == "whisper tiny-random"
    assert transcript.language == "en"
    assert transcript.n_words > 0
    spans = last(find_speech(samples))
    for word in transcript.words:
        middle = word.onset + word.duration / 2
        assert any(span.start - 0.31 <= middle <= span.end + 0.31 for span in spans)


@pytest.mark.parametrize("samples", [np.zeros(RATE * 8), 0.3 * np.sin(np.arange(RATE * 8) * 0.2)])
def test_whisper_hears_nothing_where_nobody_speaks(weights, tmp_path, samples):
    settings = Settings(cache_dir=tmp_path / "cache", whisper_model=str(weights))
    assert last(transcribe(clip_of(samples, tmp_path), recogniser="whisper", settings=settings)).n_words == 0


def test_auto_takes_whisper_when_its_weights_are_here_and_pocketsphinx_otherwise(weights, tmp_path):
    here, gone = Settings(whisper_model=str(weights)), Settings(whisper_model=str(tmp_path / "gone"))
    assert choose("auto", here).source == "whisper tiny-random"
    assert available(here)["auto"]["takes"] == "whisper"
    assert available(here)["whisper"]["ready"]
    assert choose("auto", gone).source == "pocketsphinx en-us"


def test_the_language_and_the_weights_are_part_of_the_recognisers_identity(weights):
    ids = {choose("whisper", Settings(whisper_model=str(weights), language=language)).id for language in (None, "en", "fr")}
    assert len(ids) == 3


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
def test_a_folder_that_lacks_a_file_is_named_before_the_library_stumbles_over_it(weights, tmp_path, missing):
    partial = tmp_path / "partial"
    partial.mkdir()
    for file in weights.iterdir():
        if file.name != missing:
            (partial / file.name).symlink_to(file)
    error = refused(str(partial))
    assert error.code == "whisper_incomplete"
    assert missing in str(error)
    assert str(tmp_path) not in str(error)


@pytest.mark.parametrize("name", ["/nowhere/at/all", "./nowhere", "~/nowhere-at-all", "enormous", "a/b/c", "", "a/", "bad name/x y"])
def test_a_folder_or_size_that_does_not_exist_is_refused_or_not_found_and_never_asked_for_online(name, monkeypatch):
    def no_network(*_):
        raise AssertionError("reached for the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    assert refused(name).code == "whisper_unknown"


def test_a_size_that_is_not_in_the_hub_cache_is_missing_with_its_download_size_and_no_network_is_touched(tmp_path, monkeypatch):
    def no_network(*_):
        raise AssertionError("reached for the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "large-v3").mkdir()  # a folder that happens to be called like a size is not taken for it
    settings = Settings(whisper_model="large-v3")
    with pytest.raises(SpeechError) as caught:
        choose("whisper", settings)
    assert caught.value.code == "whisper_missing"
    assert "3090 MB" in caught.value.hint
    assert available(settings)["whisper"]["download_mb"] == 3090


def test_a_download_of_an_unknown_size_is_refused_before_anything_starts():
    with pytest.raises(SpeechError, match="no Whisper size"):
        next(download_whisper("enormous"))


def test_a_download_without_network_ends_in_a_named_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    stages = []
    with pytest.raises(SpeechError) as caught:
        stages.extend(download_whisper("tiny"))
    assert caught.value.code == "download_failed"


def test_a_cpu_computes_in_int8_because_float16_crashes_there():
    assert options("cpu")["compute_type"] == "int8"
    assert options("cuda")["compute_type"] == "float16"


def test_whisper_pieces_join_neighbours_and_never_exceed_what_it_hears_at_once():
    pieces = join([Span(0, 3), Span(3.5, 6), Span(20, 30), Span(30.2, 95)])
    assert pieces[0] == Span(0, 6)
    assert all(piece.duration <= LONGEST_PIECE_S + 1e-9 for piece in pieces)
    assert pieces[-1].end == 95
    assert sum(piece.duration for piece in pieces) == pytest.approx(6 + 10 + 64.8, abs=0.3)
