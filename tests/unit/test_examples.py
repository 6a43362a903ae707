"""The examples on the landing page show what their captions say, and open anywhere at once."""

from __future__ import annotations

import math

import av
import numpy as np
import pytest

from encoder.atlas import load_atlas
from experiments.examples import list_examples, load_example
from experiments.make_examples import EYES_AND_EARS, PLANS, STORY, THINGS_THAT_MOVE
from extractors.grid import TR, tr_middles
from extractors.media import admit
from extractors.stages import last
from settings import Settings

IDS = ("eyes-and-ears", "a-story-told", "things-that-move")
LAG_S = 5.0  # the curves follow the film by about this much
SETTLED_S = 2.0  # of a block are left to the change


def curve(responses, curve_id: str) -> np.ndarray:
    """Mean over subjects and parcels of a network, a group, or one side of it, computed here from the table alone."""
    atlas = load_atlas()
    name, _, side = curve_id.partition("-")
    parcels = np.array(atlas.mask(name))
    if side:
        parcels &= np.array([hemisphere == side for hemisphere in atlas.hemispheres])
    return responses.values[:, :, parcels].mean(axis=(0, 2))


def rows_of(blocks, kinds: tuple[str, ...], responses) -> np.ndarray:
    """Valid rows whose time, less the lag, lies well inside a block of one of ``kinds``."""
    times = tr_middles(len(responses.valid)) - LAG_S
    inside = np.zeros(len(times), bool)
    for block in blocks:
        if block.kind in kinds:
            inside |= (times >= block.start + SETTLED_S) & (times < block.end)
    return inside & responses.valid


def test_there_are_three_in_the_order_of_the_list():
    assert tuple(example.id for example in list_examples()) == IDS == tuple(plan.id for plan in PLANS)


def test_eyes_and_ears_shows_auditory_in_the_sound_blocks_and_vis_in_the_picture_blocks():
    example, result = load_example("eyes-and-ears")
    assert example.opens_with == ("Auditory", "Vis")
    picture, sound, both = (rows_of(EYES_AND_EARS, (kind,), result.responses) for kind in ("picture", "sound", "both"))
    assert min(picture.sum(), sound.sum(), both.sum()) >= 5
    auditory, vision = curve(result.responses, "Auditory"), curve(result.responses, "Vis")
    assert min(auditory[sound].mean(), auditory[both].mean()) > auditory[picture].mean() + 0.5
    assert min(vision[picture].mean(), vision[both].mean()) > vision[sound].mean() + 0.4


def test_a_story_told_sinks_in_its_pause_where_the_picture_stands_still():
    example, result = load_example("a-story-told")
    assert example.opens_with == ("Auditory", "LanguageTemporal")
    words = result.transcript.words
    first_ends = max(word.offset for word in words if word.onset < STORY[1][0])
    second_begins = min(word.onset for word in words if word.onset >= STORY[1][0])
    assert second_begins - first_ends >= 6, "the pause in the story"
    times, valid = tr_middles(result.responses.n_trs) - LAG_S, result.responses.valid
    told = valid & ((times < first_ends) | (times > second_begins + SETTLED_S)) & (times < words[-1].offset)
    paused = valid & (times > first_ends + SETTLED_S) & (times < second_begins)
    assert told.sum() >= 10
    assert paused.sum() >= 3
    for shown in example.opens_with:
        values = curve(result.responses, shown)
        assert values[told].mean() > values[paused].mean() + 0.5, shown
    assert curve(result.responses, "Vis")[told | paused].std() < 0.5 * curve(result.responses, "Auditory")[told | paused].std()


def test_things_that_move_shows_each_half_of_the_picture_in_the_other_half_of_the_brain():
    example, result = load_example("things-that-move")
    assert example.opens_with == ("Vis-L", "Vis-R")
    left, right = (rows_of(THINGS_THAT_MOVE, (side,), result.responses) for side in ("left", "right"))
    assert min(left.sum(), right.sum()) >= 8
    left_brain, right_brain = curve(result.responses, "Vis-L"), curve(result.responses, "Vis-R")
    assert right_brain[left].mean() > left_brain[left].mean() + 0.15
    assert left_brain[right].mean() > right_brain[right].mean() + 0.15


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.id)
def test_an_example_is_small_short_and_of_one_piece(plan):
    example, result = load_example(plan.id)
    assert sum(path.stat().st_size for path in example.folder.iterdir()) < 2_000_000
    assert 45 <= result.clip.duration <= 90
    assert math.isclose(result.clip.duration, plan.seconds, abs_tol=0.1)
    assert (example.title, example.caption, example.opens_with) == (plan.title, plan.caption, plan.opens_with)
    assert result.responses.values.shape == (4, int(plan.seconds / TR), 1000)
    assert result.responses.simulated
    assert result.responses.valid.sum() >= 25
    assert all(word.onset >= 0 and word.offset <= plan.seconds for word in result.transcript.words)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.id)
def test_an_example_passes_the_gate_without_being_encoded_again(plan, tmp_path):
    path = load_example(plan.id)[0].folder / "clip.mp4"
    clip = last(admit(path, settings=Settings(cache_dir=tmp_path)))
    assert not clip.notices
    assert packets(clip.path, "video") == packets(path, "video")
    assert packets(clip.path, "audio") == packets(path, "audio")
    assert clip.video_key == load_example(plan.id)[1].clip.video_key, "the result belongs to this clip"


def packets(path, kind: str) -> list[bytes]:
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(**{kind: 0}) if packet.size]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.id)
def test_an_example_was_made_by_the_model_that_is_shipped(plan):
    from encoder import from_pretrained

    assert load_example(plan.id)[1].responses.weights_sha256 == from_pretrained("vibe-sim").weights_sha256
