"""PyTorch's side of `npm run bench:gpu`: does the same work on the same GPU, or on the CPU where there is no CUDA.

Reads one request a line from the standard input and answers each with one line of JSON:

  {"do": "prepare", "kind": ..., "arrays": {"path", "entries"}, ...}  -> {"id"}
  {"do": "run", "id", "count", "tf32"}     -> {"ms"}: `count` calls and one synchronisation
  {"do": "result", "id", "tf32", "path"}   -> {"entries"}: one call, its arrays written to `path`
  {"do": "release", "id"}

Arrays lie one after another in a file, little-endian: {"name", "shape", "offset" (bytes), "dtype" ("f32" or "i32")}.
"""

import json
import math
import os
import sys
import time

# Whatever a library prints must not get between the answers.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import numpy as np
import torch
import torch.nn.functional as F

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
is_cuda = device.type == "cuda"


def synchronize():
    if is_cuda:
        torch.cuda.synchronize()


def set_tf32(allowed):
    torch.set_float32_matmul_precision("high" if allowed else "highest")


def read_arrays(spec):
    raw = np.fromfile(spec["path"], dtype=np.uint8)
    kinds = {"f32": np.float32, "i32": np.int32}
    arrays = {}
    for entry in spec["entries"]:
        count = math.prod(entry["shape"])
        values = np.frombuffer(raw, kinds[entry["dtype"]], count, entry["offset"]).reshape(entry["shape"])
        arrays[entry["name"]] = torch.from_numpy(values.copy()).to(device)
    return arrays


def write_arrays(path, arrays):
    entries, offset = [], 0
    with open(path, "wb") as file:
        for name, value in arrays.items():
            data = np.ascontiguousarray(value.detach().float().cpu().numpy()).tobytes()
            entries.append({"name": name, "shape": list(value.shape), "offset": offset, "dtype": "f32"})
            offset += len(data)
            file.write(data)
    return entries


class Matmul:
    def __init__(self, arrays, spec):
        self.a = arrays["a"].transpose(-1, -2) if spec["transposeA"] else arrays["a"]
        self.b = arrays["b"].transpose(-1, -2) if spec["transposeB"] else arrays["b"]

    def run(self):
        self.c = torch.matmul(self.a, self.b)

    def result(self):
        self.run()
        return {"c": self.c}


class Attention:
    """Self-attention of a fused projection [B, T, 3·H·D] and its gradient."""

    def __init__(self, arrays, spec):
        self.qkv, self.dy, self.heads = arrays["qkv"].requires_grad_(), arrays["dy"], spec["heads"]

    def run(self):
        batch, length, width = self.dy.shape
        self.qkv.grad = None
        parts = self.qkv.view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(*parts)
        y.transpose(1, 2).reshape(batch, length, width).backward(self.dy)

    def result(self):
        self.run()
        return {"gradient": self.qkv.grad}


def create_encoder(arrays, spec):
    from peft import LoraConfig, get_peft_model
    from transformers import BertConfig, BertModel

    config = BertConfig(**spec["config"], hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    config._attn_implementation = "sdpa"
    encoder = BertModel(config, add_pooling_layer=False)
    prefix = "base."
    state = {name[len(prefix):]: value for name, value in arrays.items() if name.startswith(prefix)}
    missing, unexpected = encoder.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith(("position_ids", "token_type_ids"))]
    unexpected = [name for name in unexpected if not name.startswith("pooler.")]
    if missing or unexpected:
        raise RuntimeError(f"weights do not fit: missing {missing[:3]}, unexpected {unexpected[:3]}")
    peft = LoraConfig(
        r=spec["rank"], lora_alpha=spec["alpha"], lora_dropout=0.0, target_modules=spec["targets"], bias="none"
    )
    return get_peft_model(encoder, peft).to(device).train()


class Classifier:
    """A BERT encoder with LoRA by PEFT and a linear head on the mean of the states."""

    def __init__(self, arrays, spec):
        self.encoder = create_encoder(arrays, spec)
        self.hidden = spec["config"]["hidden_size"]
        self.head = torch.nn.Linear(self.hidden, 2).to(device)
        self.ids, self.labels = arrays["ids"].long(), arrays["labels"].long()
        self.mask = arrays["mask"]
        self.spec = spec
        parameters = dict(self.encoder.named_parameters())
        prefix = "trainable."
        self.names = [name[len(prefix):] for name in arrays if name.startswith(prefix)]
        self.parameters = [self._parameter(parameters, name) for name in self.names]
        self.start = [arrays[prefix + name] for name in self.names]
        trained = {id(each) for each in self.parameters}
        left = [name for name, each in parameters.items() if each.requires_grad and id(each) not in trained]
        if left:
            raise RuntimeError(f"trained here alone: {left[:3]}")
        self.load(self.start)

    def _parameter(self, parameters, name):
        if name.startswith("head."):
            return getattr(self.head, name.rsplit(".", 1)[1])
        layer, part = name.rsplit(".", 1)
        return parameters[f"base_model.model.{layer}.lora_{part[-1]}.default.weight"]

    def load(self, values):
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, values)

    def optimizer(self):
        rate = self.spec["learningRate"]
        if self.spec["optimizer"] == "sgd":
            return torch.optim.SGD(self.parameters, lr=rate)
        return torch.optim.AdamW(self.parameters, lr=rate, weight_decay=0.0, fused=is_cuda)

    def step(self, rows, optimizer):
        mask = self.mask[rows]
        states = self.encoder(input_ids=self.ids[rows], attention_mask=mask).last_hidden_state
        pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        loss = F.cross_entropy(self.head(pooled), self.labels[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()


class LoraStep(Classifier):
    """One step of training on what the last one left."""

    def __init__(self, arrays, spec):
        super().__init__(arrays, spec)
        self.adam = self.optimizer()

    def run(self):
        self.loss = self.step(slice(None), self.adam)

    def result(self):
        self.run()
        gradients = {name: each.grad for name, each in zip(self.names, self.parameters)}
        return {"loss": self.loss.reshape(1), **gradients}


class Rounds(Classifier):
    """Rounds of clients one after another: each starts from the global values and does one step on texts of its own."""

    def client(self, number, values):
        size = self.spec["batchSize"]
        self.load(values)
        return self.step(slice(number * size, (number + 1) * size), self.optimizer())

    def run(self):
        clients, average = self.spec["clients"], self.spec["average"]
        self.values = [each.clone() for each in self.start]
        self.uploads = []
        for _ in range(self.spec["rounds"]):
            total = [torch.zeros_like(each) for each in self.start]
            for number in range(clients):
                loss = self.client(number, self.values)
                if average:
                    torch._foreach_add_(total, self.parameters, alpha=1 / clients)
                else:
                    self.uploads.append([loss, *[each.detach().clone() for each in self.parameters]])
            if average:
                self.values = [each.detach() for each in total]

    def result(self):
        self.run()
        if self.spec["average"]:
            return dict(zip(self.names, self.values))
        losses, *values = [torch.stack(each) for each in zip(*self.uploads)]
        return {"loss": losses, **dict(zip(self.names, values))}


class Svd:
    """All singular triplets, or the leading ones by a random sketch."""

    def __init__(self, arrays, spec):
        self.a, self.spec = arrays["a"], spec

    def run(self):
        if self.spec["rank"] is None:
            self.u, self.s, self.vt = torch.linalg.svd(self.a, full_matrices=False)
            return
        rank = self.spec["rank"]
        u, s, v = torch.svd_lowrank(self.a, q=rank + self.spec["oversampling"], niter=self.spec["iterations"])
        self.u, self.s, self.vt = u[:, :rank], s[:rank], v[:, :rank].T

    def result(self):
        self.run()
        return {"u": self.u, "s": self.s, "vt": self.vt}


class Start:
    """The start of adapters from the leading triplets of several matrices, and what is left of these."""

    def __init__(self, arrays, spec):
        self.matrices, self.spec = list(arrays.values()), spec

    def run(self):
        rank = self.spec["rank"]
        self.residuals = []
        for _ in range(self.spec["repeats"]):
            for weight in self.matrices:
                u, s, v = torch.svd_lowrank(weight, q=rank + self.spec["oversampling"], niter=self.spec["iterations"])
                root = s[:rank].sqrt()
                lora_b, lora_a = u[:, :rank] * root, root[:, None] * v[:, :rank].T
                self.residuals.append(weight - lora_b @ lora_a)

    def result(self):
        self.run()
        norms = [each.double().norm() for each in self.residuals[: len(self.matrices)]]
        return {"residualNorms": torch.stack(norms).float()}


class SvdCheck:
    """Errors of a decomposition in float64, and the best possible ones."""

    def __init__(self, arrays, spec):
        a, u, s, vt = (arrays[name].double() for name in ("a", "u", "s", "vt"))
        best = torch.linalg.svdvals(a)
        k = len(s)
        eye = torch.eye(k, dtype=torch.float64, device=device)
        tail = best[k:].norm() if k < len(best) else torch.zeros((), dtype=torch.float64, device=device)
        self.errors = {
            "residual": (a - (u * s) @ vt).norm() / a.norm(),
            "best": tail / a.norm(),
            "orthogonality": torch.maximum((u.T @ u - eye).abs().max(), (vt @ vt.T - eye).abs().max()),
            "values": (s - best[:k]).abs().max() / best[0],
        }

    def run(self):
        pass

    def result(self):
        return {name: value.reshape(1) for name, value in self.errors.items()}


kinds = {
    "matmul": Matmul,
    "attention": Attention,
    "lora_step": LoraStep,
    "rounds": Rounds,
    "svd": Svd,
    "start": Start,
    "svd_check": SvdCheck,
}
programs = {}


def describe():
    versions = {"python": sys.version.split()[0], "torch": torch.__version__}
    for name in ("transformers", "peft"):
        try:
            versions[name] = __import__(name).__version__
        except ImportError as error:
            versions[name] = f"missing: {error}"
    return {
        "device": torch.cuda.get_device_name() if is_cuda else f"CPU, {torch.get_num_threads()} threads",
        "cuda": torch.version.cuda if is_cuda else None,
        "versions": versions,
    }


def answer(request):
    do = request["do"]
    if do == "describe":
        return describe()
    if do == "prepare":
        arrays = read_arrays(request["arrays"])
        number = len(programs)
        set_tf32(False)
        programs[number] = kinds[request["kind"]](arrays, request)
        return {"id": number}
    if do == "release":
        programs[request["id"]] = None
        if is_cuda:
            torch.cuda.empty_cache()
        return {}
    program = programs[request["id"]]
    set_tf32(request["tf32"])
    if do == "result":
        return {"entries": write_arrays(request["path"], program.result())}
    synchronize()
    start = time.perf_counter()
    for _ in range(request["count"]):
        program.run()
    synchronize()
    return {"ms": 1000 * (time.perf_counter() - start)}


for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except Exception as error:  # The next request may still be answered.
        reply = {"error": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps(reply) + "\n")
    answers.flush()
