"""Writes what transformers, torch and peft compute for small random encoders: one safetensors file a case, beside this script.

    pip install -r requirements.txt && python generate.py [NAME…]

A file holds the checkpoint of a sequence classification model under its own names and, under `golden.`:
  ids, mask, types, labels   the batch; `types` only where the family tells kinds of tokens apart
  states, logits             the encoder's last hidden states, and the outputs of the head
  gradient.NAME              of the mean cross-entropy by every parameter
  loraA.MODULE, loraB.MODULE factors that adapters start from
  losses                     of 20 steps of AdamW on the factors and the head
The metadata holds `config` (config.json) and `lora` (rank, alpha, learning rate, weight decay), as JSON.
"""

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

STEPS = 20
LORA = {"rank": 2, "alpha": 3, "learningRate": 5e-3, "weightDecay": 0.01}
NO_DROPOUT = {
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


@dataclass
class Family:
    config: type
    model: type
    # Modules of the head, trained beside the adapters.
    head: list[str]
    # The linear layers that get adapters, by a pattern of their names.
    targets: str
    # Settings that all cases of the family share.
    settings: dict = field(default_factory=dict)


BERT_LAYERS = r".*\.encoder\.layer\..*\.(query|key|value|dense)"
FAMILIES = {
    "bert": Family(BertConfig, BertForSequenceClassification, ["classifier"], BERT_LAYERS, NO_DROPOUT),
    "roberta": Family(RobertaConfig, RobertaForSequenceClassification, ["classifier"], BERT_LAYERS, NO_DROPOUT),
    "xlm_roberta": Family(XLMRobertaConfig, XLMRobertaForSequenceClassification, ["classifier"], BERT_LAYERS, NO_DROPOUT),
    "electra": Family(ElectraConfig, ElectraForSequenceClassification, ["classifier"], BERT_LAYERS, NO_DROPOUT),
    "deberta_v2": Family(
        DebertaV2Config,
        DebertaV2ForSequenceClassification,
        ["pooler", "classifier"],
        r".*\.encoder\.layer\..*\.(\w+_proj|dense)",
        {**NO_DROPOUT, "pooler_dropout": 0.0, "relative_attention": True},
    ),
    "distilbert": Family(
        DistilBertConfig,
        DistilBertForSequenceClassification,
        ["pre_classifier", "classifier"],
        r".*\.transformer\.layer\..*\.(q_lin|k_lin|v_lin|out_lin|lin1|lin2)",
        {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0},
    ),
}


@dataclass
class Case:
    family: str
    seed: int
    config: dict
    # Element type of the checkpoint; torch computes in float32 with the rounded weights.
    dtype: torch.dtype = torch.float32
    # Tokens of the texts.
    lengths: tuple[int, ...] = (9, 6, 4)


def bert_sizes(hidden: int, heads: int, inner: int, vocab: int, positions: int, **others) -> dict:
    return {
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_hidden_layers": 2,
        "intermediate_size": inner,
        "vocab_size": vocab,
        "max_position_embeddings": positions,
        **others,
    }


def distilbert_sizes(hidden: int, heads: int, inner: int, vocab: int, positions: int, **others) -> dict:
    return {
        "dim": hidden,
        "n_heads": heads,
        "n_layers": 2,
        "hidden_dim": inner,
        "vocab_size": vocab,
        "max_position_embeddings": positions,
        **others,
    }


CASES = {
    "bert_a": Case("bert", 1, bert_sizes(24, 3, 31, 53, 11, type_vocab_size=2), torch.bfloat16),
    "bert_b": Case("bert", 2, bert_sizes(
        12, 4, 17, 41, 10, type_vocab_size=3, hidden_act="gelu_new", layer_norm_eps=1e-5,
    ), torch.float16),
    "roberta_a": Case("roberta", 3, bert_sizes(
        24, 2, 29, 59, 11, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1,
    ), torch.bfloat16),
    "roberta_b": Case("roberta", 4, bert_sizes(
        12, 3, 19, 43, 14, type_vocab_size=2, pad_token_id=3, hidden_act="relu",
    ), torch.float16),
    "xlm_roberta_a": Case("xlm_roberta", 5, bert_sizes(
        12, 1, 23, 61, 13, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1,
    ), torch.bfloat16),
    "distilbert_a": Case("distilbert", 6, distilbert_sizes(24, 4, 31, 47, 10), torch.bfloat16),
    "distilbert_b": Case("distilbert", 7, distilbert_sizes(
        12, 3, 17, 37, 9, activation="relu", sinusoidal_pos_embds=True,
    ), torch.float32),
    # As v3: distances beyond 2 in log buckets, projections shared.
    "deberta_v2_a": Case("deberta_v2", 10, bert_sizes(
        24, 3, 31, 53, 24, type_vocab_size=0, position_buckets=4, max_relative_positions=18, norm_rel_ebd="layer_norm",
        share_att_key=True, pos_att_type="p2c|c2p", position_biased_input=False,
    ), torch.bfloat16, (21, 9, 6)),
    # As v2 without buckets: projections of positions of their own, and those cut off at 5.
    "deberta_v2_b": Case("deberta_v2", 11, bert_sizes(
        12, 2, 19, 41, 12, type_vocab_size=2, max_relative_positions=5, pos_att_type="c2p|p2c", layer_norm_eps=1e-5,
    ), torch.float16),
    # As v2-xlarge, a convolution beside the first layer; one term of positions.
    "deberta_v2_c": Case("deberta_v2", 12, bert_sizes(
        12, 3, 17, 37, 20, type_vocab_size=0, position_buckets=8, norm_rel_ebd="layer_norm", share_att_key=True,
        pos_att_type="p2c", conv_kernel_size=3, conv_act="gelu",
    ), torch.float16, (19, 8, 5)),
    # The other term, by a projection of its own.
    "deberta_v2_d": Case("deberta_v2", 13, bert_sizes(
        12, 1, 21, 39, 16, type_vocab_size=0, position_buckets=6, pos_att_type="c2p", position_biased_input=False,
        hidden_act="gelu_new",
    ), torch.float16, (15, 7, 5)),
    "electra_a": Case("electra", 8, bert_sizes(24, 3, 29, 57, 12, embedding_size=14), torch.bfloat16),
    "electra_b": Case("electra", 9, bert_sizes(
        12, 2, 21, 39, 10, embedding_size=12, hidden_act="silu", layer_norm_eps=1e-6,
    ), torch.float16),
}

NUM_LABELS = 3


def draw_parameters(model: torch.nn.Module, dtype: torch.dtype, generator: torch.Generator) -> None:
    """Values of order 1 that use every term: no bias is 0, no normalisation the identity; matrices keep a vector's length."""
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() < 2:
            is_norm = re.search(r"(LayerNorm|layer_norm)\.weight$", name) is not None
            values = 0.2 * values + (1 if is_norm else 0)
        elif "embeddings." not in name:
            values = values / parameter.shape[1] ** 0.5
        parameter.data = values.to(dtype).float()


def draw_batch(config, lengths, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Texts of several lengths, padded; one has a token that is masked in its midst."""
    padding = config.pad_token_id
    shape = (len(lengths), max(lengths))
    ids = torch.randint(0, config.vocab_size - 1, shape, generator=generator)
    ids = ids + (ids >= padding)
    mask = torch.zeros(shape, dtype=torch.long)
    for row, length in enumerate(lengths):
        ids[row, length:] = padding
        mask[row, :length] = 1
    mask[1, 2] = 0
    batch = {"input_ids": ids, "attention_mask": mask}
    kinds = getattr(config, "type_vocab_size", 0)
    if kinds > 1:
        batch["token_type_ids"] = torch.randint(0, kinds, shape, generator=generator)
    return batch


def train_adapters(model, family: Family, batch, labels, generator: torch.Generator):
    """The factors that peft's LoRA starts from, and the losses of training them and the head."""
    peft = get_peft_model(model, LoraConfig(
        r=LORA["rank"],
        lora_alpha=LORA["alpha"],
        lora_dropout=0.0,
        target_modules=family.targets,
        modules_to_save=family.head,
        bias="none",
    ))
    factors = {}
    for name, module in peft.named_modules():
        if not hasattr(module, "lora_A"):
            continue
        short = name.removeprefix("base_model.model.")
        a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
        a.data = torch.randn(a.shape, generator=generator) / a.shape[1] ** 0.5
        b.data = 0.1 * torch.randn(b.shape, generator=generator)
        factors[f"golden.loraA.{short}"] = a.detach().clone()
        factors[f"golden.loraB.{short}"] = b.detach().clone()
    assert factors, "no linear layer matches the targets"
    trained = [parameter for parameter in peft.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LORA["learningRate"], weight_decay=LORA["weightDecay"])
    losses = []
    for _ in range(STEPS):
        loss = torch.nn.functional.cross_entropy(peft(**batch).logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return factors, torch.tensor(losses)


def generate(name: str, case: Case) -> None:
    family = FAMILIES[case.family]
    generator = torch.Generator().manual_seed(case.seed)
    config = family.config(**family.settings, **case.config, num_labels=NUM_LABELS)
    config._attn_implementation = "eager"
    model = family.model(config).eval()
    draw_parameters(model, case.dtype, generator)
    batch = draw_batch(config, case.lengths, generator)
    labels = torch.arange(len(case.lengths)) % NUM_LABELS

    output = model(**batch, output_hidden_states=True)
    torch.nn.functional.cross_entropy(output.logits, labels).backward()
    tensors = {key: value.to(case.dtype) for key, value in model.state_dict().items()}
    tensors |= {f"golden.gradient.{key}": value.grad for key, value in model.named_parameters()}
    tensors |= {
        "golden.ids": batch["input_ids"].int(),
        "golden.mask": batch["attention_mask"].float(),
        "golden.labels": labels.int(),
        "golden.states": output.hidden_states[-1],
        "golden.logits": output.logits,
    }
    if "token_type_ids" in batch:
        tensors["golden.types"] = batch["token_type_ids"].int()
    model.zero_grad()
    factors, losses = train_adapters(model, family, batch, labels, generator)
    tensors |= {**factors, "golden.losses": losses}
    tensors = {key: value.detach().contiguous().clone() for key, value in tensors.items()}
    metadata = {"config": config.to_json_string(), "lora": json.dumps(LORA)}
    path = Path(__file__).parent / f"{name}.safetensors"
    save_file(tensors, path, metadata)
    print(f"{path.name}: {path.stat().st_size} bytes, losses {losses[0]:.4f} … {losses[-1]:.4f}")


for name in sys.argv[1:] or CASES:
    generate(name, CASES[name])
