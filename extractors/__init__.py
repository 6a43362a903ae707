"""A film becomes numbers: media gate, transcript, TR grid, feature streams, cache. No gradio, no plotting."""
