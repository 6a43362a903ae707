"""A published-format model with random weights and tiny backbones of the real classes, saved as the hub's files are."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from encoder.models.published import PublishedVIBE
from encoder.models.published_config import PublishedVIBEConfig

TEXT_WIDTH, AUDIO_WIDTH, VIDEO_WIDTH, POOL = 16, 12, 24, 2
FRAMES, CROP = 64, 32

SENTENCES = (
    "once upon a time there was a little boy who lived by the sea",
    "the quick brown fox jumps over the lazy dog and runs away",
    "hello there, how are you doing today? fine, thanks.",
    "[Metadata]: what people say in films",
)


def tiny_vibe(folder: Path, *, seed: int = 0, averaged: bool = True, context: int = 512, **changes) -> Path:
    """Save a random model and its backbones into ``folder`` and return it.

    Parameters
    ----------
    averaged : bool
        Name the predictor's weights as an averaged model does.
    context : int
        Tokens the text backbone takes.
    **changes
        Of ``config.json``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tiny_text(folder / "backbones" / "text", seed=seed, context=context)
    tiny_audio(folder / "backbones" / "audio", seed=seed)
    tiny_video(folder / "backbones" / "video", seed=seed)
    tiny_predictor(folder, seed=seed, averaged=averaged, **changes)
    return folder


def tiny_predictor(folder: Path, *, seed: int = 0, averaged: bool = True, **changes) -> Path:
    """``config.json`` and ``model.safetensors`` of the predictor alone."""
    values = {
        "modality_fusion_transformer_dim": 16,
        "predictor_transformer_num_heads": 4,
        "predictor_transformer_num_layers": 1,
        "text_extractor": "backbones/text",
        "text_extractor_feature_size": TEXT_WIDTH,
        "text_extractor_dtype": "float32",
        "audio_extractor": "backbones/audio",
        "audio_extractor_feature_size": 2 * AUDIO_WIDTH,
        "audio_extractor_batch_size": 4,
        "video_extractor": "backbones/video",
        "video_extractor_feature_size": VIDEO_WIDTH,
        "video_extractor_pool_size": POOL,
        "video_extractor_dtype": "float32",
        "video_extractor_batch_size": 3,
        **changes,
    }
    config, _ = PublishedVIBEConfig.from_dict(values)
    module = PublishedVIBE(config)
    randomise(module, seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**config.to_dict(), **values, "architectures": ["VIBEModel"]}, indent=1))
    tensors = {key: tensor.contiguous() for key, tensor in module.state_dict().items()}
    if averaged:
        tensors = {f"module.{key}": tensor for key, tensor in tensors.items()} | {"n_averaged": torch.tensor(5)}
    save_file(tensors, folder / "model.safetensors")
    return folder


def tiny_text(folder: Path, *, seed: int = 0, context: int = 512, layers: int = 5) -> Path:
    """A Qwen2 causal language model and a byte-level tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|endoftext|>"])
    tokenizer.train_from_iterator(SENTENCES, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|endoftext|>")
    config = Qwen2Config(
        vocab_size=len(fast),
        hidden_size=TEXT_WIDTH,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
    )
    _save(Qwen2ForCausalLM(config), folder, seed)
    fast.save_pretrained(folder)
    return folder


def tiny_audio(folder: Path, *, seed: int = 0, layers: int = 3) -> Path:
    """An audio spectrogram transformer with its classification head and feature extractor, as the hub has it."""
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    config = ASTConfig(hidden_size=AUDIO_WIDTH, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=24)
    _save(ASTForAudioClassification(config), folder, seed)
    ASTFeatureExtractor().save_pretrained(folder)
    return folder


def tiny_video(folder: Path, *, seed: int = 0, layers: int = 4) -> Path:
    """A V-JEPA 2 model: 64 frames of 32 x 32 pixels are 32 x 2 x 2 tokens."""
    from transformers import VJEPA2Config, VJEPA2Model

    config = VJEPA2Config(
        hidden_size=VIDEO_WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=2,
        crop_size=CROP,
        frames_per_clip=FRAMES,
        pred_hidden_size=12,
        pred_num_hidden_layers=1,
        pred_num_attention_heads=2,
    )
    _save(VJEPA2Model(config), folder, seed)
    return folder


def randomise(module: torch.nn.Module, seed: int) -> None:
    """Redraw every parameter, so that none keeps a first value of 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)


def _save(model, folder: Path, seed: int) -> None:
    randomise(model, seed)
    model.save_pretrained(folder)
