"""Opens models and tokenizers for judges: safetensors only, no remote code."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer
from transformers.modeling_outputs import TokenClassifierOutput
from transformers.quantizers.auto import AutoHfQuantizer

from judgekit.engines.checkpoint import safe_checkpoint, snapshot_commit, tensor_formats, tensor_names, weight_files
from judgekit.engines.scoring.causality import refuse_bidirectional, refuse_by_configuration
from judgekit.engines.scoring.heads import OutputHead
from judgekit.errors import CheckpointError, DataError, boundary, one_line
from judgekit.io import read_json
from judgekit.types import Precision


@contextmanager
def opening(name: str, what: str = "model") -> Iterator[None]:
    """Open something of a checkpoint with transformers; every exception becomes one line with the way out.

    All that opens a checkpoint, or runs it for the first time, stands within. Nobody can list what transformers raises
    there: it depends on the architecture, the packages installed and the device.

    Args:
        name: Directory or Hub id.
        what: What is opened, for the message.

    Raises:
        CheckpointError: anything was raised within.
    """
    with _quiet(), boundary(CheckpointError, f"cannot open the {what} {name}", explain=lambda e: _explain(e, name)):
        yield


def _explain(error: Exception, name: str) -> str:
    """Say what is missing or damaged, and what to do."""
    config = _read_config(name)
    said, quantised = one_line(error), _quantisation(config)
    if quantised:
        return (
            f"its weights are quantised ({quantised}): {said}. Install the package named here, use a GPU if the "
            "kernels need one, or use a revision with plain float32, bfloat16 or float16 weights"
        )
    if "bfloat16" in said.lower():  # a product of two formats: some architectures mix them
        return f"it does not run in bfloat16 here ({said}): use dtype=float32 (bf16=false in training)"
    if isinstance(error, ImportError):
        return f"a package is missing: {said}"
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return f"it does not fit into memory ({said}): use dtype=bfloat16, or a larger device"
    if isinstance(error, OSError):
        return said  # says which file is not there, or not readable
    if isinstance(error, KeyError) and error.args:  # of a table of what transformers knows: say which field asked
        said = next((f"{field} is {error.args[0]!r}" for field in _fields_with(config, error.args[0])), said)
    return (
        f"{said}. Its configuration, or one of its files, is damaged or of a kind that transformers "
        f"{transformers.__version__} does not know: fetch it again, or use another version of transformers"
    )


def _read_config(name: str) -> dict[str, Any]:
    """Return the `config.json` of a checkpoint on this machine; empty if there is none to read."""
    try:
        values = read_json(Path(name) / "config.json")
    except DataError:
        return {}
    return values if isinstance(values, dict) else {}


def _fields_with(values: Mapping[str, Any], wanted: object) -> Iterator[str]:
    """Yield the names of the fields that hold a value, as `section.field`."""
    for name, value in values.items():
        if value == wanted:
            yield name
        elif isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in _fields_with(value, wanted))


def _quantisation(config: Mapping[str, Any]) -> str | None:
    """Return how weights are quantised, by their configuration; `None` if they are not."""
    section = config.get("quantization_config")
    if not section:
        return None
    return str(section.get("quant_method", "in an unknown way") if isinstance(section, dict) else section)[:40]


_PROBE = "The answer is 1 + 1 = 2."
"""A text of which every tokenizer has some part in its vocabulary."""


def load_tokenizer(name: str, **options: Any) -> Any:
    """Open a tokenizer without running remote code.

    Args:
        name: Directory or Hub id.
        options: Further fields of the tokenizer, for example `padding_side`.

    Raises:
        CheckpointError: there is none, or it cannot treat reserved tokens as plain text (no fast tokenizer).
    """
    directory = str(safe_checkpoint(name, weights=False))
    with opening(directory, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False, **options)
        if not tokenizer.is_fast:
            raise CheckpointError(
                f"{name} has no fast tokenizer (tokenizer.json), which judging needs: convert it with transformers"
            )
        # Without its files a tokenizer of a known class opens with no vocabulary, and every text is nothing.
        known = set(tokenizer(_PROBE, add_special_tokens=False).input_ids) - {tokenizer.unk_token_id}
    if not known:
        raise CheckpointError(
            f"the tokenizer of {name} cannot encode any part of {_PROBE!r}: its vocabulary (tokenizer.json, "
            "tokenizer.model, vocab.json) is missing or damaged. Fetch it again"
        )
    return tokenizer


def load_classifier(name: str, *, dtype: Precision, n_labels: int | None = None, dropout: float = 0.0) -> Any:
    """Open a token-classification model from safetensors, in evaluation mode on the fastest device here.

    Args:
        name: Directory or Hub id.
        dtype: Precision of the weights.
        n_labels: Labels of a head that is made again, for training; `None` demands a trained head. Where transformers
            has no token-classification class for the architecture, a `HeadedModel` is made.
        dropout: Share of the hidden state that training drops before the head.

    Raises:
        CheckpointError: weights or configuration are missing, only pickled weights exist, the head is untrained, or the
            model is not a causal decoder.
    """
    has_class = True
    if n_labels is not None:
        config = _open_config(name)
        # A wrapper around a text model counts as one without: its class would run what is wrapped next to it, too.
        is_known = type(config) in AutoModelForTokenClassification._model_mapping
        has_class = is_known and config.get_text_config() is config
    if n_labels is not None and not has_class:
        model: Any = _with_new_head(name, dtype=dtype, n_labels=n_labels)
    else:
        options = {} if n_labels is None else {"num_labels": n_labels}
        model, info = _open_weights(AutoModelForTokenClassification, name, dtype=dtype, **options)
        if n_labels is None and info["missing_keys"]:
            raise CheckpointError(
                f"{name} lacks trained weights for {sorted(info['missing_keys'])}: it is not a trained judge"
            )
    if isinstance(getattr(model, "dropout", None), torch.nn.Dropout):
        model.dropout.p = dropout  # transformers' own default is 0.1 where the configuration states none
    model = to_fastest_device(model)
    with opening(name):
        refuse_bidirectional(model.base_model, name=name)
    return model


def _with_new_head(name: str, *, dtype: Precision, n_labels: int) -> HeadedModel:
    """Put a head on the body of a checkpoint: that of a judge trained by us, where it has one, or a new one."""
    body, directory = _open_body(name, dtype=dtype), safe_checkpoint(name)
    stored = read_tensors(directory, f"{HEAD}.") if (directory / HEAD_FILE).is_file() else {}
    if "weight" in stored:
        head: torch.nn.Module = _linear_layers(stored, directory=directory, head=HEAD)[0]
    else:
        options = {"use_cache": False} if hasattr(body.config, "use_cache") else {}
        with opening(name), torch.inference_mode():
            width = body(input_ids=torch.tensor([[0]]), **options)[0].shape[-1]
        head = torch.nn.Linear(width, n_labels)
        torch.nn.init.normal_(head.weight, std=getattr(body.config, "initializer_range", 0.02))
        torch.nn.init.zeros_(head.bias)
    return HeadedModel(body, head.to(getattr(torch, dtype)))


def _open_body(name: str, *, dtype: Precision) -> Any:
    """Open a transformer without its head: the text model, where a checkpoint wraps it with models of images or sound.

    Raises:
        CheckpointError: see `_open_weights`; or it lacks weights, or the wrapper does not give its text model.
    """
    config = _open_config(name)
    refuse_by_configuration(config, name=name)
    body, info = _open_weights(AutoModel, name, dtype=dtype)
    if info["missing_keys"]:
        raise CheckpointError(f"{name} lacks the weights {sorted(info['missing_keys'])[:5]} of its body")
    if config.get_text_config() is not config:
        with opening(name):
            text = body.get_decoder()
        if text is body:
            raise CheckpointError(
                f"{name} (model_type {body.config.model_type}) wraps a text model that cannot be extracted: use a "
                "checkpoint of the text model alone"
            )
        text.config.name_or_path, text.config._commit_hash = name, body.config._commit_hash
        return text
    return body


def _open_config(name: str, **options: Any) -> Any:
    """Open a configuration without remote code; `options` change fields of it."""
    directory = str(safe_checkpoint(name))
    with opening(directory):
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False, **options)
    stored = _read_config(directory)
    if isinstance(stored.get("label2id"), dict) and not stored.get("id2label") and "num_labels" not in options:
        config.label2id = stored["label2id"]  # which transformers forgets where there is no id2label
    return config


def _open_weights(auto_class: Any, name: str, *, dtype: Precision, **config_options: Any) -> tuple[Any, dict[str, Any]]:
    """Open a model from safetensors without remote code; returns it and what transformers says about its tensors.

    Raises:
        CheckpointError: weights or configuration are missing or damaged, or only pickled weights exist.
    """
    directory, config = str(safe_checkpoint(name)), _open_config(name, **config_options)
    with opening(directory):
        model, info = auto_class.from_pretrained(
            directory,
            config=config,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # the report of transformers is a table; the line below names one tensor
            trust_remote_code=False,
            # Given, so that the configuration does not choose: `None` is the fastest that torch itself has.
            attn_implementation=None,
            output_loading_info=True,
        )
    _check_formats(Path(directory))
    for tensor, *shapes in sorted(info["mismatched_keys"]):
        raise CheckpointError(
            f"cannot open the model {name}: the tensor {tensor} has the shape "
            f"{' in the file and '.join(str(tuple(shape)) for shape in shapes)} in config.json: one of them belongs to "
            "another model. Fetch both again"
        )
    # Layers beyond those of the configuration would be dropped without a word, and a smaller model would judge.
    text = model.config.get_text_config()
    n_layers, n_next = getattr(text, "num_hidden_layers", None), getattr(text, "num_nextn_predict_layers", None) or 0
    for tensor in sorted(info["unexpected_keys"]):
        layer = _LAYER.fullmatch(tensor)
        if layer and isinstance(n_layers, int) and int(layer[1]) >= max(n_layers, 0) + n_next:
            raise CheckpointError(
                f"cannot open the model {name}: the file has the tensor {tensor}, but config.json says "
                f"num_hidden_layers: {n_layers}. One of them belongs to another model: fetch both again"
            )
    model.config._commit_hash = snapshot_commit(Path(directory))  # transformers knows it of Hub ids alone
    return model, info


_LAYER = re.compile(
    r"(?:model\.|transformer\.|decoder\.|language_model\.|text_model\.|gpt_neox\.|backbone\.)*"
    r"(?:layers|h|blocks)\.(\d+)\..+"
)
"""A tensor of a text model's layer, with the layer's number."""
_NUMBERS = frozenset({"F64", "F32", "F16", "BF16"})
"""Formats in which a weight is the number itself; in all others it is nothing without scales."""


def _check_formats(directory: Path) -> None:
    """Refuse quantised weights that were read as if they were plain: transformers skips what it does not know.

    Raises:
        CheckpointError: there are some; names the format.
    """
    config = _read_config(str(directory))
    quantised = _quantisation(config)
    if quantised and AutoHfQuantizer.supports_quant_method(config["quantization_config"]):
        return  # kept as they are, or made plain while they were opened
    formats = (item for of_file in tensor_formats(weight_files(directory)).values() for item in of_file.items())
    packed = next(
        (f"{name} is {kind}" for name, kind in formats if name.endswith("weight") and kind not in _NUMBERS), None
    )
    if quantised or packed:
        raise CheckpointError(
            f"cannot open the model {directory}: its weights are quantised ({quantised or packed}) in a way that "
            f"transformers {transformers.__version__} cannot read: use a revision with plain float32, bfloat16 or "
            "float16 weights"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from warning."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


HEAD, HEAD_FILE = "score", "head.safetensors"
"""Name of the head that we train, and the file that holds it next to the weights of its body."""


class HeadedModel(torch.nn.Module):
    """A body with a head of its own, read and trained like a token-classification model.

    Args:
        base_model: Transformer without a head.
        score: From hidden states (..., hidden_size) to outputs (..., n_outputs).
    """

    def __init__(self, base_model: Any, score: torch.nn.Module) -> None:
        super().__init__()
        self.base_model = base_model
        self.dropout = torch.nn.Dropout(0.0)
        self.score = score
        self.config = base_model.config

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> TokenClassifierOutput:
        """Return the head's outputs for every token. Shape (B, T, n_outputs)."""
        options = {"use_cache": False} if hasattr(self.config, "use_cache") else {}
        hidden = self.base_model(input_ids=input_ids, attention_mask=attention_mask, **options)[0]
        return TokenClassifierOutput(logits=self.score(self.dropout(hidden)))

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """Trade compute for memory in the body."""
        self.base_model.activation_checkpointing_enable(**options)

    def gradient_checkpointing_enable(self, **options: Any) -> None:
        """Do the same by the name that it had before transformers 5.20."""
        self.base_model.gradient_checkpointing_enable(**options)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Return the tensors by name, one that a body uses at several places once, as safetensors demand it."""
        state, seen = super().state_dict(*args, **kwargs), set[tuple[int, tuple[int, ...]]]()
        for name, tensor in list(state.items()):
            place = (tensor.data_ptr(), tuple(tensor.shape))
            if place in seen and tensor.numel():
                del state[name]
            seen.add(place)
        return state

    def save_pretrained(self, directory: Path) -> None:
        """Write the body as transformers does, and the head to a file next to it; `load_headed_model` opens both."""
        self.base_model.save_pretrained(directory)
        head = {f"{HEAD}.{name}": tensor.contiguous() for name, tensor in self.score.state_dict().items()}
        save_file(head, directory / HEAD_FILE, metadata={"format": "pt"})

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights."""
        return next(self.parameters()).dtype


def load_headed_model(directory: Path, *, head: str, dtype: Precision, mean: bool = False) -> Any:
    """Open a checkpoint whose head transformers does not know, without remote code.

    Args:
        directory: Checkpoint directory with safetensors.
        head: Name of the head's tensors: `head.weight` and `head.bias` of one linear layer, or `head.0.weight`, ... of
            several with ReLU between them. A bias may be missing.
        dtype: Precision of the weights.
        mean: Take the mean of the last layer's outputs as the one output.

    Raises:
        CheckpointError: the body cannot be opened or lacks weights, or no tensor has the head's name.
    """
    body = _open_body(str(directory), dtype=dtype)
    score = _linear_layers(read_tensors(directory, f"{head}."), directory=directory, head=head)
    if mean:
        # The mean of a linear layer's outputs is one output: its weights are the mean of the layer's rows.
        last = score[-1]
        assert isinstance(last, torch.nn.Linear)
        one = torch.nn.Linear(last.in_features, 1, bias=last.bias is not None, dtype=torch.float32)
        with torch.no_grad():
            one.weight.copy_(last.weight.float().mean(dim=0, keepdim=True))
            if last.bias is not None:
                one.bias.copy_(last.bias.float().mean(dim=0, keepdim=True))
        score = torch.nn.Sequential(*list(score)[:-1], one)
    model = to_fastest_device(HeadedModel(body, score.to(getattr(torch, dtype))))
    with opening(str(directory)):
        refuse_bidirectional(model.base_model, name=str(directory))
    return model


def _linear_layers(tensors: Mapping[str, torch.Tensor], *, directory: Path, head: str) -> torch.nn.Sequential:
    """Build linear layers, ReLU between them, from tensors named `weight`, `bias` or `0.weight`, `0.bias`, ..."""
    found = {name.rpartition(".")[0] for name in tensors if name.endswith("weight")}
    names = sorted((name for name in found if not name or name.isdecimal()), key=lambda name: int(name or 0))
    if not names or len(names) < len(found):
        raise CheckpointError(f"{directory} has no tensor {head}.weight or {head}.0.weight: check the card's head")
    layers: list[torch.nn.Module] = []
    for name in names:
        prefix = f"{name}." if name else ""
        weight, bias = tensors[f"{prefix}weight"], tensors.get(f"{prefix}bias")
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        layer.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias}))
        layers += [torch.nn.ReLU(), layer]
    return torch.nn.Sequential(*layers[1:])


def read_tensors(directory: Path, prefix: str) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint whose names begin so; the names come back without the prefix.

    Raises:
        CheckpointError: a safetensors file is damaged, or there is none.
    """
    found: dict[str, torch.Tensor] = {}
    for path, names in tensor_names(directory).items():
        with safe_open(path, framework="pt") as file:
            found |= {name.removeprefix(prefix): file.get_tensor(name) for name in names if name.startswith(prefix)}
    return found


def load_language_model(name: str, *, dtype: Precision = "float32") -> Any:
    """Open a causal language model from safetensors, in float32 where it is to be trained.

    Raises:
        CheckpointError: it is missing or damaged, only pickled weights exist, or it is not a language model.
    """
    model, info = _open_weights(AutoModelForCausalLM, name, dtype=dtype)
    if info["missing_keys"]:
        raise CheckpointError(f"{name} lacks the weights {sorted(info['missing_keys'])[:5]} of a language model")
    return model


def load_scorer(name: str, *, dtype: Precision) -> Any:
    """Open a causal language model whose token probabilities are read at many places of a text, on the fastest device.

    Raises:
        CheckpointError: see `load_language_model`; or it is not a causal decoder, or it computes its logits in a way
            that is not known here.
    """
    model = to_fastest_device(load_language_model(name, dtype=dtype))
    with opening(name):
        refuse_bidirectional(model.base_model, name=name)
        OutputHead.of(model)
    return model


def check_sizes(model: Any, tokenizer: Any, *, ids: Iterable[int] = ()) -> None:
    """Refuse a tokenizer, or token ids of a card, beyond the rows of a model's embedding: the first forward would fail.

    Args:
        model: A model that was opened here.
        tokenizer: The tokenizer that is used with it.
        ids: Further token ids that will be put in.

    Raises:
        CheckpointError: an id has no row.
    """
    if isinstance(model, torch.nn.Module):
        body: Any = model.base_model if isinstance(model, HeadedModel) else model
        n_rows = body.get_input_embeddings().weight.shape[0]
    else:  # vLLM holds the weights
        n_rows = model.config.get_text_config().vocab_size
    largest, name = max(tokenizer.get_vocab().values(), default=0), tokenizer.name_or_path
    if largest >= n_rows:
        raise CheckpointError(
            f"the tokenizer {name} has tokens up to {largest} ({tokenizer.convert_ids_to_tokens(largest)!r}), but the "
            f"model's embedding has {n_rows} rows: they do not belong together, or tokens were added without resizing "
            "the embedding. Use the tokenizer that the model was trained with"
        )
    beyond = [token for token in ids if not 0 <= token < n_rows]
    if beyond:
        raise CheckpointError(
            f"the card names token {beyond[0]}, but the model's embedding has {n_rows} rows: fix the section input of "
            "the card"
        )


def to_fastest_device(model: Any) -> Any:
    """Move a model to a GPU where there is one, in evaluation mode."""
    with opening(model.config.name_or_path):  # it may not fit
        return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
