"""The models that are exchanged, and what to do with them."""

import warnings

import torch
import transformers
from safetensors.torch import load_file

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 37}
common = {"vocab_size": 41, "max_position_embeddings": 24, "num_labels": 3}
attention = ["query", "value", "attention.output.dense"]

# Name of the classes, configuration, layers to adapt, modules of the head for sequence classification.
families = {
    "Bert": (transformers.BertConfig, sizes, attention, ["classifier"]),
    "Roberta": (transformers.RobertaConfig, {**sizes, "pad_token_id": 1}, attention, ["classifier"]),
    "XLMRoberta": (transformers.XLMRobertaConfig, {**sizes, "pad_token_id": 1}, attention, ["classifier"]),
    "DistilBert": (
        transformers.DistilBertConfig,
        {"dim": 24, "n_layers": 2, "n_heads": 4, "hidden_dim": 37},
        ["q_lin", "v_lin", "ffn.lin1"],
        ["pre_classifier", "classifier"],
    ),
    "Electra": (transformers.ElectraConfig, {**sizes, "embedding_size": 16}, attention, ["classifier"]),
    "DebertaV2": (
        transformers.DebertaV2Config,
        {
            **sizes,
            "type_vocab_size": 0,
            "relative_attention": True,
            "position_biased_input": False,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 4,
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "pooler_hidden_size": 24,
        },
        ["query_proj", "value_proj", "attention.output.dense"],
        ["pooler", "classifier"],
    ),
}

# Name of the task for PEFT, and the classes of transformers.
tasks = {
    "SEQ_CLS": ("ForSequenceClassification", transformers.AutoModelForSequenceClassification),
    "TOKEN_CLS": ("ForTokenClassification", transformers.AutoModelForTokenClassification),
    "QUESTION_ANS": ("ForQuestionAnswering", transformers.AutoModelForQuestionAnswering),
}

ids = torch.randint(3, common["vocab_size"], (4, 9), generator=torch.Generator().manual_seed(5))
mask = torch.tensor([[1] * 9, [1] * 6 + [0] * 3, [1] * 2 + [0] * 7, [1] * 8 + [0]])


def pad(config):
    """The tokens, padded with the model's own id."""
    return torch.where(mask == 1, ids, torch.tensor(config.pad_token_id or 0))


def outputs_of(model):
    """Logits [B, K], or [B, T, K] with those of padding 0."""
    with torch.no_grad():
        found = model.eval()(input_ids=pad(model.config), attention_mask=mask)
    if "logits" in found:
        logits = found.logits
    else:
        logits = torch.stack([found.start_logits, found.end_logits], -1)
    return (logits if logits.ndim == 2 else logits * mask[..., None]).contiguous()


def read(path):
    return load_file(path)
