"""Numbers become responses: atlas, models, checkpoints, pipeline, training."""
