"""FeDeRA-Exact's server, and FedEx-LoRA's: FedAvg, and what averaging A and B apart loses is added to the frozen weights of every node."""

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp.strategy import FedAvg


class FeDeRAExact(FedAvg):
    """
    FedEx-LoRA's correction (arXiv 2410.09432): W ← W + s·(Σ p_k·B_k·A_k − B̄·Ā). With d counted from the round's start this is
    s·Σ p_k·(dB_k − dB̄)·dA_k, which goes down as two factors a [K·r, in] and b [out, K·r] of each layer. A node that has missed rounds gets
    their corrections too. The factors are the clients' changes side by side: nodes can tell each other's updates from them.
    """

    def __init__(self, *, scaling, **options):
        super().__init__(**options)
        self.scaling = scaling
        self.corrections = {}
        """By round: the factors by name."""
        self.last_round = {}
        """By node: the last round of which the server has its upload."""
        self.sent = {}
        """The values that the round began with."""

    def configure_train(self, server_round, arrays, config, grid):
        self.sent = {name: array.numpy() for name, array in arrays.items()}
        messages = super().configure_train(server_round, arrays, config, grid)
        return [self._for_node(message, arrays, server_round) for message in messages]

    def configure_evaluate(self, server_round, arrays, config, grid):
        messages = super().configure_evaluate(server_round, arrays, config, grid)
        return [self._for_node(message, arrays, server_round + 1) for message in messages]

    def _for_node(self, message, arrays, before):
        """The message with the corrections that the node hasn't had yet: a node of round q trained on the weights of before q's."""
        node = message.metadata.dst_node_id
        last = self.last_round.get(node, 0)
        missed = {
            name: Array(value)
            for number, factors in sorted(self.corrections.items())
            if max(1, last) <= number < before
            for name, value in factors.items()
        }
        config = ConfigRecord({**message.content[self.configrecord_key], "last-round": last})
        content = {self.arrayrecord_key: ArrayRecord({**arrays, **missed}), self.configrecord_key: config}
        return Message(RecordDict(content), dst_node_id=node, message_type=message.metadata.message_type)

    def aggregate_train(self, server_round, replies):
        replies = list(replies)
        # Sums of float32 depend on their order: that of the clients' numbers is the same in every run.
        replies.sort(key=lambda reply: -1 if reply.has_error() else client_of(reply))
        arrays, metrics = super().aggregate_train(server_round, replies)
        valid = [reply for reply in replies if not reply.has_error()]
        for reply in replies:
            if reply.has_error():
                # Perhaps it has lost what it knew: it gets the corrections of all rounds next time.
                self.last_round.pop(reply.metadata.src_node_id, None)
        if arrays is None:
            return arrays, metrics
        for reply in valid:
            self.last_round[reply.metadata.src_node_id] = server_round
        uploads = [next(iter(reply.content.array_records.values())) for reply in valid]
        examples = [next(iter(reply.content.metric_records.values()))[self.weighted_by_key] for reply in valid]
        self.corrections[server_round] = {
            f"{layer}.correction.{server_round}.{factor}": value
            for layer in (name.removesuffix(".loraA") for name in arrays if name.endswith(".loraA"))
            for factor, value in self._correct(layer, uploads, examples).items()
        }
        return arrays, metrics

    def _correct(self, layer, uploads, examples):
        shares = np.array(examples, np.float32) / np.float32(sum(examples))
        a, b = (self.sent[f"{layer}.{factor}"] for factor in ("loraA", "loraB"))
        d_a = [upload[f"{layer}.loraA"].numpy() - a for upload in uploads]
        d_b = [upload[f"{layer}.loraB"].numpy() - b for upload in uploads]
        mean = sum(share * each for share, each in zip(shares, d_b))
        scaled = np.float32(self.scaling) * shares
        return {
            "b": np.concatenate([share * (each - mean) for share, each in zip(scaled, d_b)], 1),
            "a": np.concatenate(d_a, 0),
        }


def client_of(reply):
    """The number of the client, from the config that it answers with."""
    return next(iter(reply.content.config_records.values()))["client"]
