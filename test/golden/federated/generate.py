"""
Federated low-rank tuning in plain PyTorch and PEFT, in float64, to hold federa's against (see requirements.txt):

    python generate.py base        a small BERT (base/) and 36 texts of three classes (data.json), from train.jsonl of SNIPS (CC0)
    node generate.ts               what federa begins with, and the order of its batches (given.json): see there
    python generate.py reference   three rounds of each method (reference.json, rounds.safetensors)

Nothing here is federa's: what clients and servers do is written out as the papers say it.
"""

import copy
import json
import random
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import BertConfig, BertForSequenceClassification

here = Path(__file__).parent
torch.set_num_threads(1)
LABELS = ["PlayMusic", "GetWeather", "BookRestaurant"]
LENGTH = 10


def write_base(source):
    rows = [json.loads(line) for line in open(source)]
    chosen = [row for label in LABELS for row in [r for r in rows if r["label"] == label][:12]]
    random.Random(5).shuffle(chosen)
    words = [row["text"].lower().split()[: LENGTH - 1] for row in chosen]
    vocabulary = ["[PAD]", "[CLS]", *sorted({word for text in words for word in text})]
    ids = [[1, *map(vocabulary.index, text)] for text in words]
    data = dict(
        texts=[row["text"] for row in chosen],
        labels=[LABELS.index(row["label"]) for row in chosen],
        ids=[text + [0] * (LENGTH - len(text)) for text in ids],
        mask=[[1] * len(text) + [0] * (LENGTH - len(text)) for text in ids],
    )
    (here / "data.json").write_text(json.dumps(data) + "\n")
    torch.manual_seed(11)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=48,
            max_position_embeddings=LENGTH,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            num_labels=len(LABELS),
        )
    )
    # Weights as large as a trained model's: rows that keep a vector's length.
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            parameter.data = torch.randn_like(parameter) * (0.5 if "embeddings" in name else parameter.shape[1] ** -0.5)
        # Singular values far apart, as in trained models: where two are equal, their vectors are anyone's choice, and AdamW's steps
        # depend on it.
        if name.endswith(("query.weight", "value.weight")):
            u, _, vt = torch.linalg.svd(parameter.data.double())
            parameter.data = (u * (2.5 * 0.8 ** torch.arange(len(u)))) @ vt
            parameter.data = parameter.data.float().contiguous()
    model.save_pretrained(here / "base")


# ---- what a client does ------------------------------------------------------------------------------------------------------


def ours(name):
    """The name that federa gives a parameter of PEFT's model; None for what neither trains."""
    name = name.removeprefix("base_model.model.")
    for theirs, own in [(".lora_A.default.weight", ".loraA"), (".lora_B.default.weight", ".loraB")]:
        if name.endswith(theirs):
            return GIVEN["layers"][name.removesuffix(theirs)] + own
    if name.startswith("classifier."):
        return GIVEN["head"][name.removeprefix("classifier.")]
    return None


def open_model(options):
    base = BertForSequenceClassification.from_pretrained(here / "base").double()
    config = LoraConfig(
        r=options["rank"], lora_alpha=options["alpha"], target_modules=["query", "value"], bias="none", lora_dropout=0.0
    )
    model = get_peft_model(base, config)
    parameters = {ours(name): each for name, each in model.named_parameters() if ours(name)}
    assert sorted(parameters) == sorted(GIVEN["initial"]), (sorted(parameters), sorted(GIVEN["initial"]))
    for name, parameter in parameters.items():
        parameter.data = torch.tensor(GIVEN["initial"][name], dtype=torch.float64).reshape(parameter.shape)
    bases = {GIVEN["layers"][n.removeprefix("base_model.model.")]: m.base_layer.weight for n, m in model.named_modules() if hasattr(m, "base_layer")}
    return model.train(), parameters, bases


def train(model, parameters, trained, batches, options, correction=None):
    """Local steps of one client, in place; the loss of each."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(ours(name) in trained)
    own = [parameters[name] for name in trained]
    optimizer = (
        torch.optim.AdamW(own, lr=options["rate"], weight_decay=0.0)
        if options["optimizer"] == "adamw"
        else torch.optim.SGD(own, lr=options["rate"])
    )
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        logits = model(input_ids=IDS[batch], attention_mask=MASK[batch]).logits
        loss = torch.nn.functional.cross_entropy(logits, TARGETS[batch])
        loss.backward()
        if correction:
            for name in trained:
                parameters[name].grad += correction[name]
        optimizer.step()
        losses.append(loss.item())
    return losses


# ---- what servers do ---------------------------------------------------------------------------------------------------------


def mean(values, shares):
    return sum(share * value for share, value in zip(shares, values))


def factors(layer):
    return layer + ".loraA", layer + ".loraB"


def federa_start(parameters, bases, scaling, rank):
    """B₀·A₀ is the leading part of W by its SVD, and W keeps the rest (arXiv 2404.18848, 2404.02948)."""
    for layer, weight in bases.items():
        u, s, vt = torch.linalg.svd(weight.data, full_matrices=False)
        root = (s[:rank] / scaling).sqrt()
        a, b = root[:, None] * vt[:rank], u[:, :rank] * root
        names = factors(layer)
        parameters[names[0]].data, parameters[names[1]].data = a, b
        weight.data = weight.data - scaling * b @ a


def run(method):
    options = GIVEN["options"] | GIVEN["methods"][method]
    model, parameters, bases = open_model(options)
    pretrained = {layer: weight.data.clone() for layer, weight in bases.items()}
    scaling = options["alpha"] / options["rank"]
    if method == "federa":
        federa_start(parameters, bases, scaling, options["rank"])
    sizes = [len(client) for client in GIVEN["clients"]]
    shares = [1 / len(sizes) if method == "scaffold" else size / sum(sizes) for size in sizes]
    control = {name: torch.zeros_like(each.data) for name, each in parameters.items()}
    own_controls = [copy.deepcopy(control) for _ in sizes]
    losses, rounds = [], []
    for index, plans in enumerate(GIVEN["batches"]):
        frozen = {"ffa-lora": ".loraA", "rolora": ".loraA" if index % 2 == 0 else ".loraB"}.get(method)
        trained = [name for name in parameters if not (frozen and name.endswith(frozen))]
        start = {name: each.data.clone() for name, each in parameters.items()}
        uploads, changed, of_round = [], [], []
        for client, batches in enumerate(plans):
            for name, each in parameters.items():
                each.data = start[name].clone()
            correction = None
            if method == "scaffold":
                correction = {name: control[name] - own_controls[client][name] for name in trained}
            of_round.append(train(model, parameters, trained, batches, options, correction))
            upload = {name: each.data.clone() for name, each in parameters.items()}
            uploads.append(upload)
            if method == "scaffold":
                # Option II: c_k⁺ = c_k − c + (x − y)/(K·η)
                steps = len(batches) * options["rate"]
                before = own_controls[client]
                after = {n: before[n] - control[n] + (start[n] - upload[n]) / steps for n in trained}
                changed.append({n: after[n] - before[n] for n in trained})
                own_controls[client] = after
        for name, each in parameters.items():
            each.data = mean([upload[name] for upload in uploads], shares)
        if method == "scaffold":
            # Everybody took part.
            control = {n: control[n] + mean([each[n] for each in changed], shares) for n in trained}
        if method == "fedex-lora":
            # What the product of the means lacks of the mean of the products goes into the frozen weights.
            for layer, weight in bases.items():
                a, b = factors(layer)
                products = mean([upload[b] @ upload[a] for upload in uploads], shares)
                weight.data = weight.data + scaling * (products - parameters[b].data @ parameters[a].data)
        losses.append(of_round)
        rounds.append({
            **{name: each.data.clone() for name, each in parameters.items()},
            **{
                f"{layer}.change": weight.data + scaling * parameters[factors(layer)[1]].data @ parameters[factors(layer)[0]].data - pretrained[layer]
                for layer, weight in bases.items()
            },
        })
    return losses, rounds


if __name__ == "__main__":
    if sys.argv[1] == "base":
        write_base(sys.argv[2])
    else:
        GIVEN = json.loads((here / "given.json").read_text())
        data = json.loads((here / "data.json").read_text())
        IDS, MASK, TARGETS = (torch.tensor(data[key]) for key in ("ids", "mask", "labels"))
        found = {method: run(method) for method in GIVEN["methods"]}
        (here / "reference.json").write_text(json.dumps({method: losses for method, (losses, _) in found.items()}) + "\n")
        save_file(
            {
                f"{method}/{i + 1}/{name}": value.float().contiguous()
                for method, (_, rounds) in found.items()
                for i, values in enumerate(rounds)
                for name, value in values.items()
                # The change s·B·A of the weights where it doesn't follow from the factors: FeDeRA's are what they are but for signs.
                if ".lora" not in name and ".change" not in name
                or (".change" in name) == (method in ("federa", "fedex-lora"))
                or (".lora" in name and method == "fedex-lora")
            },
            here / "rounds.safetensors",
        )
