"""The server: Flower's own FedAvg over the adapter's factors and the head, or FeDeRA-Exact's."""

import json
import os
from logging import INFO

from flwr.app import ArrayRecord, Context
from flwr.common.logger import log
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from .agreement import Agreement, Greeting
from .base import fingerprint, read_base
from .exact import FeDeRAExact
from .run_config import config_for_nodes
from .safetensors_file import save_floats
from .start import make_start, scaling_of

app = ServerApp()


class GreetingFedAvg(Greeting, FedAvg):
    """FedAvg that asks new nodes what they start from; what it averages, and how, is Flower's."""


class GreetingExact(Greeting, FeDeRAExact):
    """The same of FeDeRA-Exact."""


CORRECTED = ("fedex-lora", "federa-exact")
"""Methods whose server also corrects the frozen weights."""

AVERAGED = ("fedit", "federa", "ffa-lora", "federa-ffa", "fedsa-lora", "full", "fedbf", "ln-tune", "fedap", "attn-scale")
"""Methods whose server averages what clients send, and does nothing else."""


@app.main()
def main(grid: Grid, context: Context) -> None:
    run_config = context.run_config
    config = config_for_nodes(run_config)
    agreement = agreement_of(run_config, config)
    strategy = strategy_of(config, agreement, run_config)
    arrays = agreement.begin(grid, run_config["min-nodes"])
    result = strategy.start(grid, arrays, num_rounds=run_config["rounds"], train_config=config, evaluate_config=config)
    save(run_config["output"], result.arrays, getattr(strategy, "corrections", {}))


def agreement_of(run_config, config):
    """What the nodes must agree on: of the server's own making, or that of the first node."""
    if config["start-by"] == "nodes":
        return Agreement(config)
    folder = run_config["base"]
    if not folder:
        raise ValueError('Cannot make the start: start-by = "server" needs base, the folder of the weights')
    with open(os.path.join(folder, "config.json")) as file:
        hidden_size = json.load(file)["hidden_size"]
    weights = read_base(folder, pooler=config.get("pooling") == "pooler")
    return Agreement(config, make_start(weights, config, hidden_size), fingerprint(weights))


def strategy_of(config, agreement, run_config):
    options = {f"min_{what}_nodes": run_config["min-nodes"] for what in ("train", "evaluate", "available")}
    options["fraction_evaluate"] = run_config["fraction-evaluate"]
    method = config["method"]
    if method in CORRECTED:
        return GreetingExact(agreement=agreement, scaling=scaling_of(config), **options)
    if method not in AVERAGED:
        raise ValueError(f"Cannot serve {method}: expected one of {', '.join(AVERAGED + CORRECTED)}")
    return GreetingFedAvg(agreement=agreement, **options)


def save(path, arrays: ArrayRecord, corrections):
    """The final values in one file, with the corrections of all rounds where there are some."""
    if not path:
        return
    values = {name: array.numpy() for name, array in arrays.items()}
    for factors in corrections.values():
        values.update(factors)
    save_floats(path, values)
    log(INFO, f"Wrote {path}")
