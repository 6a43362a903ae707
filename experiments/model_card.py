"""The card of the embedded model, written by the training command from what it measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from encoder.cards import Card, PlantedRule, Recovery, Training, read_card
from encoder.training.simulate import RULES
from encoder.training.truth_features import OWN_NAMES, TRUTH_NAMES
from settings import ASSETS

PUBLISHED = ASSETS / "models" / "vibe" / "card.yaml"
"""Calls of the Python interface are described once, there: the embedded model answers to the same ones."""

LIMITS = (
    "No brain was measured for it: values say what textbook rules say, not what a person's brain would do.",
    "It has rules for movement, edges, colour, cuts, sound, speech and words; it knows nothing of meaning, faces, people, plot or feeling.",
    "The four simulated people differ by gain, delay, noise and a small random remix; real people differ in many more ways.",
    "Contralateral responses assume that the viewer looks at the middle of the picture all the time.",
    "Its word rules count, weigh and hash English words; in other languages they see only that somebody speaks.",
    "It cannot tell missing words from words that nobody understands: without its word stream it predicts people who hear speech and follow nothing.",
    "Language areas are cut out by parcel centre and cut across the seven networks; people's own language areas differ.",
    "Limbic parcels are mostly noise by design, as signal is weak there.",
    "The first 15 rows rest on too short a past and the last 5 are left out by convention; they are marked as not valid.",
)


def make_card(
    *, recovery: Sequence[Recovery], digest: str, usual_sd: float, clip_minutes: float, command: str, seconds: float, best_step: int, seed: int
) -> Card:
    """The card, with every rule of the generative model in words.

    Parameters
    ----------
    recovery : sequence of Recovery
        Measured just now.
    digest : str
        sha256 of the weights.
    usual_sd : float
        Mean SD over time of its predictions for generated clips, z.
    clip_minutes : float
        Film that each simulated subject watched.
    command : str
    seconds : float
        Of the whole command.
    best_step, seed : int
    """
    published = read_card(PUBLISHED)
    return Card(
        model_id="vibe-sim",
        modality="fmri",
        training_dataset="simulated",
        species="none: simulated",
        stimuli=published.stimuli,
        model_type="transformer on classical features of sound, words and picture",
        creator="The Cineglass authors",
        input=published.input.model_copy(update={"constraints": published.input.constraints[:2]}),
        output=published.output.model_copy(
            update={"description": "Predicted BOLD of one simulated subject in z against the parcel's own level in the training data."}
        ),
        parameters={name: parameter for name, parameter in published.parameters.items() if name != "model_variant"},
        references=(
            {"VIBE, whose class of network it is (paper)": "https://arxiv.org/abs/2507.17958"},
            {"Schaefer 2018 parcels": "https://doi.org/10.1093/cercor/bhx179"},
        ),
        metadata=published.metadata,
        methods={"generate_glass_brain_animation": published.methods["generate_glass_brain_animation"]},
        supported_formats=published.supported_formats,
        title="Textbook simulation",
        badge="Textbook simulation",
        simulated=True,
        description=(
            "A network of the published VIBE class at small width on classical streams (motion energy, mel bands, word statistics) that need no "
            "pretrained weights. It was trained to return the responses of four simulated people, whose generative model is written down in "
            "encoder/training/simulate.py and in this card. Drive is a weighted sum of picture, sound and word features by network and parcel "
            "centre; words are gathered over seconds; language parcels answer less when nothing is heard; drives are compressed and adapt; an HRF "
            "of the parcel's own (peak 4 to 7 s) and AR(1) noise follow."
        ),
        trained_on=(
            f"{clip_minutes:.0f} minutes of generated film (drawn shots, synthetic speech, music and noise) that each simulated person watched once, "
            f"noise included. {len(OWN_NAMES)} of the truth's {len(TRUTH_NAMES)} features come from code that the model's streams do not use."
        ),
        licence="MIT",
        citation=(
            "Simulated subjects: this project.",
            "Architecture: VIBE, winner of Algonauts 2025 (Schad, Dixit, Keck, Studenyak, Shpilevoi, Bicanski 2025), as published with its weights.",
        ),
        limits=LIMITS,
        resources="CPU, under a second for a minute of film once the streams are there; no GPU, no download.",
        loss="negative Pearson correlation over time plus mean squared error, equal weights",
        calibrated="yes",
        accuracy="never tested on measured brains",
        usual_sd=round(usual_sd, 3),
        weights_sha256=digest,
        trained_without=(("video",), ("audio", "text"), ("text",)),
        training=Training(
            command=command,
            seconds=round(seconds, 1),
            minutes_per_subject=round(clip_minutes, 1),
            seed=seed,
            notes=(
                f"Best of the averaged weights at step {best_step}, by the loss on held-out clips. Seconds are those of the whole command. "
                "Recovery: mean correlation of prediction and planted noisy response over subjects and the parcels whose ceiling is above 0.2 (where "
                "a network has none, over all of its parcels); the ceiling is the correlation of planted signal and response that is to be "
                "expected; intervals by moving-block bootstrap over 10 TRs within films; the slope is that of truth on prediction."
            ),
        ),
        rules=tuple(PlantedRule(**asdict(rule)) for rule in RULES),
        recovery=tuple(recovery),
    )
