"""Writes what torch computes for encoders with sets of trained parameters on them: one safetensors file a case, beside this script.

    pip install -r requirements.txt && python generate.py [NAME…]

The encoders are those of `../encoders/NAME.safetensors`, in float64. A file holds
  ids, mask, types, dy          a batch of texts, and the gradient of the states
  SET.states                    last hidden states of the texts' own tokens; padding's are 0
  SET.value.NAME                the set's parameters, by our names without those of the modules that hold them
  SET.gradient.NAME             of the sum of states times dy
Virtual tokens are PEFT's prompt tuning, and prefixes PEFT's prefix tuning, where that works with the family; otherwise the same by hand.
Attention is scaled by a softmax in place of torch's.
"""

import json
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel

LENGTHS = (6, 3, 1)
TOKENS = 3
BOTTLENECK = 5
NAMES = ["bert_a", "roberta_a", "distilbert_a", "electra_a", "deberta_v2_a", "deberta_v2_c"]
here = Path(__file__).parent


class Case:
    def __init__(self, name: str):
        with safe_open(here.parent / "encoders" / f"{name}.safetensors", "pt") as file:
            config = json.loads(file.metadata()["config"])
            weights = {key: file.get_tensor(key) for key in file.keys() if not key.startswith("golden.")}
            ids = file.get_tensor("golden.ids").long()[:, : max(LENGTHS)].clone()
            types = file.get_tensor("golden.types").long()[:, : max(LENGTHS)] if "golden.types" in file.keys() else None
        self.kind = config.pop("model_type")
        # Absent dtype: everything is float64 below.
        config.pop("dtype", None)
        self.config = AutoConfig.for_model(self.kind, **config)
        self.config._attn_implementation = "eager"
        self.model = AutoModel.from_config(self.config).eval()
        prefix = self.model.base_model_prefix + "."
        own = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        missing, _ = self.model.load_state_dict(own, strict=False)
        assert all("pooler" in key or "position_ids" in key for key in missing), missing
        self.model = self.model.double().requires_grad_(False)
        self.mask = torch.zeros_like(ids)
        for row, length in enumerate(LENGTHS):
            self.mask[row, :length] = 1
            ids[row, length:] = self.config.pad_token_id
        self.batch = {"input_ids": ids, "attention_mask": self.mask}
        if types is not None:
            self.batch["token_type_ids"] = types
        self.layers = (self.model.transformer if self.kind == "distilbert" else self.model.encoder).layer
        self.width = self.config.hidden_size if self.kind != "distilbert" else self.config.dim
        self.heads = self.config.num_attention_heads if self.kind != "distilbert" else self.config.n_heads

    def outputs(self, part: str):
        """The linear layers whose results are added to residuals."""
        if self.kind == "distilbert":
            return [layer.attention.out_lin if part == "attention" else layer.ffn.lin2 for layer in self.layers]
        return [layer.attention.output.dense if part == "attention" else layer.output.dense for layer in self.layers]

    def run(self, model=None):
        """States of the texts' own tokens."""
        return (model or self.model)(**self.batch).last_hidden_state[:, -max(LENGTHS):]


def bottlenecks(case: Case, draw, parts: list[str]):
    values = {}
    with ExitStack() as stack:
        for part in parts:
            for i, dense in enumerate(case.outputs(part)):
                own = {
                    "down.weight": draw(BOTTLENECK, case.width), "down.bias": draw(BOTTLENECK),
                    "up.weight": draw(case.width, BOTTLENECK), "up.bias": draw(case.width),
                }
                values |= {f"{part}.{i}.{key}": value for key, value in own.items()}

                def adapt(_, __, z, own=own):
                    hidden = torch.nn.functional.gelu(z @ own["down.weight"].T + own["down.bias"])
                    return z + hidden @ own["up.weight"].T + own["up.bias"]

                stack.callback(dense.register_forward_hook(adapt).remove)
        return values, case.run()


@contextmanager
def scaled_softmax(scales, where: str):
    plain = torch.nn.functional.softmax
    calls = iter(scales)

    def softmax(scores, *args, **kwargs):
        scale = next(calls)[None, :, None, None]
        if where == "logits":
            # The mask is the least float64, which a scale above 1 would make −∞.
            return plain(scores.clamp(min=-1e30) * scale, *args, **kwargs)
        return plain(scores, *args, **kwargs) * scale

    torch.nn.functional.softmax = softmax
    try:
        yield
        assert next(calls, None) is None, "fewer attentions than scales"
    finally:
        torch.nn.functional.softmax = plain


def attention_scales(case: Case, draw, where: str):
    scales = [draw(case.heads, middle=1) for _ in case.layers]
    offsets = [draw(case.width) for _ in case.layers]
    with ExitStack() as stack:
        # Behind the convolution where the first layer has one.
        places = list(case.layers)
        if getattr(case.model.encoder if case.kind != "distilbert" else None, "conv", None) is not None:
            places[0] = case.model.encoder.conv
        for layer, offset in zip(places, offsets):
            def shift(_, __, output, offset=offset):
                return (output[0] + offset, *output[1:]) if isinstance(output, tuple) else output + offset

            stack.callback(layer.register_forward_hook(shift).remove)
        stack.enter_context(scaled_softmax(scales, where))
        states = case.run()
    values = {f"{i}.scale": value for i, value in enumerate(scales)}
    return values | {f"{i}.offset": value for i, value in enumerate(offsets)}, states


def prompt(case: Case, draw):
    width = case.model.embeddings.word_embeddings.weight.shape[1]
    embeddings = draw(TOKENS, width, scale=1)
    if case.kind in ("electra", "distilbert"):
        words = case.model.embeddings.word_embeddings(case.batch["input_ids"])
        before = torch.ones(len(LENGTHS), TOKENS, dtype=torch.long)
        batch = {
            "inputs_embeds": torch.cat([embeddings.expand(len(LENGTHS), -1, -1), words], 1),
            "attention_mask": torch.cat([before, case.mask], 1),
        }
        if "token_type_ids" in case.batch:
            batch["token_type_ids"] = torch.cat([0 * before, case.batch["token_type_ids"]], 1)
        states = case.model(**batch).last_hidden_state
    else:
        peft = get_peft_model(case.model, PromptTuningConfig(
            task_type="FEATURE_EXTRACTION", num_virtual_tokens=TOKENS,
        )).eval()
        put(peft.prompt_encoder["default"].embedding, embeddings)
        states = peft(**case.batch).last_hidden_state
    assert states.shape[1] == TOKENS + max(LENGTHS)
    return {"embeddings": embeddings}, states[:, TOKENS:]


def put(module: torch.nn.Embedding, value: torch.Tensor) -> None:
    del module._parameters["weight"]
    module.weight = value


def prefix(case: Case, draw):
    count = len(case.layers)
    keys = [draw(TOKENS, case.width, scale=1) for _ in range(count)]
    values = [draw(TOKENS, case.width, scale=1) for _ in range(count)]
    peft = get_peft_model(case.model, PrefixTuningConfig(
        task_type="FEATURE_EXTRACTION", num_virtual_tokens=TOKENS,
    )).eval()
    put(peft.prompt_encoder["default"].embedding, torch.cat([x for pair in zip(keys, values) for x in pair], 1))
    states = peft(**case.batch).last_hidden_state
    named = {f"{i}.keys": value for i, value in enumerate(keys)}
    return named | {f"{i}.values": value for i, value in enumerate(values)}, states


def generate(name: str) -> None:
    generator = torch.Generator().manual_seed(7)

    def draw(*shape, scale=None, middle=0):
        factor = scale or (1 / shape[-1] ** 0.5 if len(shape) > 1 else 0.3)
        value = (middle + factor * torch.randn(shape, generator=generator)).float().double()
        return value.requires_grad_()

    sets = {
        "houlsby": lambda case: bottlenecks(case, draw, ["attention", "feedForward"]),
        "probabilities": lambda case: attention_scales(case, draw, "probabilities"),
        "logits": lambda case: attention_scales(case, draw, "logits"),
        "prompt": lambda case: prompt(case, draw),
    }
    if name in ("bert_a", "roberta_a", "electra_a"):
        sets["prefix"] = lambda case: prefix(case, draw)
    case = Case(name)
    states = case.run()
    dy = torch.randn(states.shape, generator=generator).float().double() * case.mask[..., None]
    tensors = {"ids": case.batch["input_ids"].int(), "mask": case.mask.float(), "dy": dy}
    if "token_type_ids" in case.batch:
        tensors["types"] = case.batch["token_type_ids"].int()
    for title, make in sets.items():
        values, states = make(Case(name))
        gradients = torch.autograd.grad((states * dy).sum(), list(values.values()))
        tensors[f"{title}.states"] = states * case.mask[..., None]
        for (key, value), gradient in zip(values.items(), gradients):
            tensors[f"{title}.value.{key}"] = value
            tensors[f"{title}.gradient.{key}"] = gradient
    stored = {
        key: value.detach().contiguous().clone() if value.dtype == torch.int32 else value.detach().float().contiguous()
        for key, value in tensors.items()
    }
    path = here / f"{name}.safetensors"
    save_file(stored, path)
    print(f"{path.name}: {path.stat().st_size} bytes")


for name in sys.argv[1:] or NAMES:
    generate(name)
