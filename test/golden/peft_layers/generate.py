"""What PEFT makes of small linear layers: its starts of LoRA, and DoRA's output and gradients.

Run: pip install "peft==0.21.*" torch numpy; python generate.py
Writes layers.json: float32 values as numbers that round to them.
"""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model

torch.manual_seed(0)


class Model(torch.nn.Module):
    def __init__(self, out, width):
        super().__init__()
        self.x = torch.nn.Linear(width, out)

    def forward(self, x):
        return self.x(x)


def numbers(x):
    return {"shape": list(x.shape), "data": x.detach().float().flatten().tolist()}


def adapted(out, width, **config):
    torch.manual_seed(out * 100 + width)
    model = Model(out, width)
    weight, bias = model.x.weight.detach().clone(), model.x.bias.detach().clone()
    config = LoraConfig(target_modules=["x"], lora_dropout=0.0, **config)
    return get_peft_model(model, config), weight, bias


cases = []
for out, width, r, alpha, rslora in [(5, 4, 2, 3, False), (4, 7, 3, 6, True), (6, 6, 1, 1, False)]:
    for start in ["pissa", "olora"]:
        model, weight, _ = adapted(
            out, width, r=r, lora_alpha=alpha, use_rslora=rslora, init_lora_weights=start
        )
        layer = model.base_model.model.x
        cases.append(
            {
                "start": start,
                "rank": r,
                "alpha": alpha,
                "scaling": "rslora" if rslora else "alpha/r",
                "weight": numbers(weight),
                "loraA": numbers(layer.lora_A["default"].weight),
                "loraB": numbers(layer.lora_B["default"].weight),
                "frozen": numbers(layer.get_base_layer().weight),
            }
        )

dora = []
for out, width, r, alpha, start in [
    (5, 4, 2, 3, True),
    (4, 7, 3, 6, "gaussian"),
    (6, 6, 2, 1, "pissa"),
    (3, 8, 1, 2, "olora"),
]:
    model, weight, bias = adapted(
        out, width, r=r, lora_alpha=alpha, use_dora=True, init_lora_weights=start
    )
    layer = model.base_model.model.x
    x = torch.randn(3, width)
    step0 = model(x).detach()
    magnitude0 = layer.lora_magnitude_vector["default"].weight.detach().clone()
    a0, b0 = (layer.lora_A["default"].weight.detach().clone(), layer.lora_B["default"].weight.detach().clone())
    with torch.no_grad():
        for parameter in (
            layer.lora_A["default"].weight,
            layer.lora_B["default"].weight,
            layer.lora_magnitude_vector["default"].weight,
        ):
            parameter.add_(0.3 * torch.randn_like(parameter))
    y = model(x)
    weights = torch.randn_like(y)
    x_leaf = x.clone().requires_grad_()
    (model(x_leaf) * weights).sum().backward()
    merged = model.merge_and_unload().x.weight
    dora.append(
        {
            "start": "lora" if start is True else start,
            "rank": r,
            "alpha": alpha,
            "weight": numbers(weight),
            "bias": numbers(bias),
            "frozen": numbers(layer.get_base_layer().weight) if start in (True, "gaussian") else None,
            "initialA": numbers(a0),
            "initialB": numbers(b0),
            "initialMagnitude": numbers(magnitude0),
            "loraA": numbers(layer.lora_A["default"].weight),
            "loraB": numbers(layer.lora_B["default"].weight),
            "magnitude": numbers(layer.lora_magnitude_vector["default"].weight),
            "x": numbers(x),
            "outputAtStart": numbers(step0),
            "output": numbers(y),
            "outputWeights": numbers(weights),
            "gradients": {
                "x": numbers(x_leaf.grad),
                "loraA": numbers(layer.lora_A["default"].weight.grad),
                "loraB": numbers(layer.lora_B["default"].weight.grad),
                "magnitude": numbers(layer.lora_magnitude_vector["default"].weight.grad),
            },
            "merged": numbers(merged),
        }
    )

Path(__file__).with_name("layers.json").write_text(
    json.dumps({"starts": cases, "dora": dora}, separators=(",", ":")) + "\n"
)
