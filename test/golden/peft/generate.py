"""Adapters as PEFT writes them, and the outputs it computes with them: python generate.py (see requirements.txt).

base/              a small BERT for sequence classification, random weights
adapters/NAME/     what PEFT saves of each kind of adapter on it, trained by hand: every number moved at random
outputs.safetensors  tokens (ids, mask), and the logits with each adapter, by its name
layouts.json       for each family and task: the model's configuration, names and shapes of the tensors of a LoRA adapter
                   that PEFT saves, and its adapter_config.json; and a LoraConfig's defaults
"""

import json
import shutil
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
here = Path(__file__).parent


def draw(model, seed):
    """Numbers of order 1 for every parameter, matrices so that they keep a vector's length."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim == 2 and "embeddings" not in name:
            noise /= parameter.shape[1] ** 0.5
        elif parameter.ndim == 1:
            noise = 0.2 * noise + (1.0 if name.endswith("LayerNorm.weight") else 0.0)
        parameter.data = noise
    return model.eval()


def small_bert():
    return transformers.BertConfig(
        vocab_size=23,
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=19,
        max_position_embeddings=16,
        num_labels=3,
    )


def train(model, seed, scale=0.3):
    """Moves whatever is trained."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.data += scale * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def clean(config_path):
    """The file without what differs from machine to machine."""
    config = json.loads(config_path.read_text())
    config["base_model_name_or_path"] = "base"
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    config_path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


def save(model, folder, **options):
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch, **options)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            shutil.copy(Path(scratch) / name, folder / name)
    clean(folder / "adapter_config.json")


kinds = {
    "lora": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "pissa": {"init_lora_weights": "pissa"},
    "pissa_dora": {"init_lora_weights": "pissa", "use_dora": True},
    "gaussian_regex": {
        "init_lora_weights": "gaussian",
        "target_modules": r".*\.(0|1)\.attention\.self\.(key|query)",
    },
    "patterns": {
        "target_modules": ["query", "value", "intermediate.dense"],
        "rank_pattern": {"query": 1, r"layer\.1\.intermediate\.dense": 3},
        "alpha_pattern": {r".*layer.0.attention.self.value": 7, "layer.1.attention.*": 2},
    },
    "rslora_patterns": {"use_rslora": True, "rank_pattern": {"value": 4}, "alpha_pattern": {"query": 3}},
    "bias_all": {"bias": "all"},
    "bias_lora_only": {"bias": "lora_only"},
    "all_linear": {"target_modules": "all-linear", "lora_dropout": 0.1},
    "modules": {"modules_to_save": ["bert.pooler", "LayerNorm"]},
    "encoder_only": {"task_type": "FEATURE_EXTRACTION"},
}


def write_adapters():
    for folder in ("base", "adapters"):
        shutil.rmtree(here / folder, ignore_errors=True)
    config = small_bert()
    base = draw(transformers.BertForSequenceClassification(config), 1)
    base.save_pretrained(here / "base")
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(0, config.vocab_size, (3, 7), generator=generator)
    mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2, [1] + [0] * 6])
    outputs = {"ids": ids, "mask": mask}

    def load_base():
        return transformers.BertForSequenceClassification.from_pretrained(here / "base").eval()

    def logits(model):
        with torch.no_grad():
            return model(input_ids=ids, attention_mask=mask).logits.contiguous()

    outputs["base"] = logits(load_base())
    for seed, (name, options) in enumerate(kinds.items()):
        options = {"task_type": "SEQ_CLS", "target_modules": ["query", "value"], "r": 2, "lora_alpha": 5, **options}
        folder = here / "adapters" / name
        torch.manual_seed(seed)
        model = load_base()
        if name == "encoder_only":
            inner = get_peft_model(model.bert, LoraConfig(**options))
            save(train(inner, seed), folder)
        else:
            save(train(get_peft_model(model, LoraConfig(**options)), seed), folder)
        if name == "encoder_only":
            again = load_base()
            again.bert = PeftModel.from_pretrained(again.bert, folder)
        else:
            again = PeftModel.from_pretrained(load_base(), folder)
        outputs[name] = logits(again.eval())
        assert torch.allclose(outputs[name], logits(model.eval()), atol=1e-5), name
        assert (outputs[name] - outputs["base"]).abs().max() > 1e-2, name

    # PiSSA converted to LoRA. The conversion leaves modules_to_save out, so this one has none.
    options = {"target_modules": ["query", "value"], "r": 2, "lora_alpha": 5, "init_lora_weights": "pissa"}
    with tempfile.TemporaryDirectory() as scratch:
        model = get_peft_model(load_base(), LoraConfig(**options))
        model.save_pretrained(f"{scratch}/start")
        train(model, 99)
        save(
            model,
            here / "adapters" / "pissa_converted",
            path_initial_model_for_weight_conversion=f"{scratch}/start",
        )
        outputs["pissa_converted"] = logits(model)
    save_file(outputs, here / "outputs.safetensors")


def tiny(config_class, **more):
    names = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 10}
    if config_class is transformers.DistilBertConfig:
        names = {"dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 10}
    return config_class(vocab_size=11, max_position_embeddings=14, num_labels=3, **names, **more)


families = {
    "Bert": (tiny(transformers.BertConfig), ["query", "attention.output.dense"], ["classifier"]),
    "Roberta": (
        tiny(transformers.RobertaConfig, pad_token_id=1),
        ["query", "attention.output.dense"],
        ["classifier"],
    ),
    "XLMRoberta": (
        tiny(transformers.XLMRobertaConfig, pad_token_id=1),
        ["query", "attention.output.dense"],
        ["classifier"],
    ),
    "DistilBert": (tiny(transformers.DistilBertConfig), ["q_lin", "out_lin"], ["pre_classifier", "classifier"]),
    "Electra": (
        tiny(transformers.ElectraConfig, embedding_size=6),
        ["query", "attention.output.dense"],
        ["classifier"],
    ),
    "DebertaV2": (
        tiny(
            transformers.DebertaV2Config,
            type_vocab_size=0,
            relative_attention=True,
            position_biased_input=False,
            pos_att_type=["p2c", "c2p"],
            position_buckets=4,
            share_att_key=True,
            norm_rel_ebd="layer_norm",
        ),
        ["query_proj", "attention.output.dense"],
        ["pooler", "classifier"],
    ),
}
tasks = {
    "SEQ_CLS": "ForSequenceClassification",
    "TOKEN_CLS": "ForTokenClassification",
    "QUESTION_ANS": "ForQuestionAnswering",
}


def write_layouts():
    layouts = []
    for family, (config, targets, head) in families.items():
        for task, suffix in tasks.items():
            if task == "QUESTION_ANS":
                config.num_labels = 2
            model = getattr(transformers, family + suffix)(config)
            modules = head if task == "SEQ_CLS" else [head[-1]] if task == "TOKEN_CLS" else ["qa_outputs"]
            adapted = get_peft_model(
                model,
                LoraConfig(task_type=task, r=3, lora_alpha=6, target_modules=targets, modules_to_save=[*modules]),
            )
            with tempfile.TemporaryDirectory() as scratch:
                adapted.save_pretrained(scratch)
                tensors = load_file(f"{scratch}/adapter_model.safetensors")
                adapter_config = json.loads(Path(f"{scratch}/adapter_config.json").read_text())
            adapter_config["target_modules"] = sorted(
                name for name, module in model.named_modules() if hasattr(module, "lora_A")
            )
            adapter_config["modules_to_save"] = sorted(set(adapter_config["modules_to_save"]))
            layouts.append(
                {
                    "task_type": task,
                    "architecture": family + suffix,
                    "config": model.config.to_diff_dict(),
                    "adapter_config": adapter_config,
                    "tensors": {name: list(value.shape) for name, value in sorted(tensors.items())},
                    "parameters": {name: list(value.shape) for name, value in sorted(names_of(family + suffix, config))},
                }
            )
    lines = ",\n".join(json.dumps(layout, sort_keys=True) for layout in layouts)
    defaults = json.dumps(LoraConfig().to_dict(), sort_keys=True, default=list)
    (here / "layouts.json").write_text(f'{{"defaults": {defaults},\n"layouts": [\n{lines}\n]}}\n')


def names_of(architecture, config):
    return getattr(transformers, architecture)(config).named_parameters()


write_adapters()
write_layouts()
