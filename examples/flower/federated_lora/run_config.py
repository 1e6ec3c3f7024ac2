"""What the server tells the nodes with every message."""

from flwr.app import ConfigRecord

VERSION = 1
"""Of what these messages say. A node of another version refuses them."""

LISTS = ("targets", "labels", "scores")
"""Keys with several values: Flower's run config has none such, so they are separated by commas there."""

OF_THE_SERVER = ("min-nodes", "fraction-evaluate", "base", "output")
"""Keys that are no business of the nodes."""


LEFT_OUT_AT_ZERO = ("local-steps", "local-epochs", "momentum", "weight-decay", "clip-norm")


def config_for_nodes(run_config):
    """The run config as nodes get it: without what is the server's own and what is empty, with lists as lists."""
    config = ConfigRecord({"federa": VERSION})
    for key, value in run_config.items():
        if key in OF_THE_SERVER or value == "" or (key in LEFT_OUT_AT_ZERO and value == 0):
            continue
        config[key] = [each.strip() for each in value.split(",")] if key in LISTS else value
    return config
