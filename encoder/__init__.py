"""Numbers become responses: atlas, models, checkpoints, pipeline, training."""

from encoder.atlas import Atlas, Group, load_atlas
from encoder.cards import Card, read_card
from encoder.checkpoints import list_models
from encoder.encoding_model import EncodingModel
from encoder.ensemble import Ensemble, from_pretrained
from encoder.responses import SUBJECTS, Responses

__all__ = [
    "SUBJECTS",
    "Atlas",
    "Card",
    "EncodingModel",
    "Ensemble",
    "Group",
    "Responses",
    "from_pretrained",
    "list_models",
    "load_atlas",
    "read_card",
]
