"""Before a node trains: does it have the base, and the start, that the others have?"""

import time
from logging import INFO, WARNING

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.common.logger import log

from .base import digest

WAIT = 600
"""Seconds that nodes have to come, and to answer."""

AWAY = (3, 4, 5)
"""Codes of errors by which Flower says that a message, a reply or a node isn't there; others come from a node that says no."""


class Agreement:
    """
    What all nodes start from. Nodes are asked before their first round: each answers with hashes of its base and its start, which must
    be equal. The start is the server's own, or that of the first node that answers.
    """

    def __init__(self, config, start=None, base_hash=None):
        self.config = ConfigRecord(dict(config))
        self.start = start
        self.known = {}
        """Answers by node."""
        self.hashes = {}
        if base_hash is not None:
            self.hashes["base-hash"] = base_hash
        if start is not None:
            self.hashes["start-hash"] = digest(start)

    def begin(self, grid, min_nodes):
        """Waits until so many nodes agree; returns the starting arrays. Raises where one differs: nothing is trained then."""
        until = time.monotonic() + WAIT
        while self.start is None or len(self.known) < min_nodes:
            problems = self.greet(grid)
            if problems:
                raise ValueError("Cannot begin:\n" + "\n".join(f"  {problem}" for problem in problems))
            if time.monotonic() > until:
                raise TimeoutError(
                    f"Cannot begin: waited {WAIT} s for {min_nodes} nodes, {len(self.known)} answered; start more, or lower min-nodes"
                )
            time.sleep(0.5)
        return ArrayRecord({name: Array(np.ascontiguousarray(value)) for name, value in self.start.items()})

    def greet(self, grid):
        """Asks the nodes that are new; returns what those say that won't take part, each by its name. Answers that are lost are asked for anew."""
        online = sorted(grid.get_node_ids())
        nodes = [node for node in online if node not in self.known]
        if not nodes and self.start is None:
            nodes = online[:1]
        if not nodes:
            return []
        problems = []
        for reply in grid.send_and_receive([self._question(node, nodes) for node in nodes], timeout=WAIT):
            node = reply.metadata.src_node_id
            if not reply.has_error():
                problem = self._accept(node, reply.content)
            elif reply.error.code in AWAY:
                log(WARNING, "An answer is lost, and asked for anew: %s", reply.error.reason)
                continue
            else:
                problem = f"node {node}: {reply.error.reason}"
            if problem:
                log(WARNING, problem)
                problems.append(problem)
        return problems

    def _question(self, node, nodes):
        # One sends the start where it is the nodes that make it; all say its hash.
        wants = self.start is None and node == nodes[0]
        content = {"config": ConfigRecord({**self.config, **self.hashes, "wants-start": wants})}
        if self.config["start-by"] == "server":
            content["arrays"] = ArrayRecord({name: Array(value) for name, value in self.start.items()})
        return Message(RecordDict(content), dst_node_id=node, message_type="query")

    def _accept(self, node, content):
        answer = dict(next(iter(content.config_records.values())))
        who = f"node {node} (client {answer['client']})"
        for key, what in (("base-hash", "base model"), ("start-hash", "start")):
            expected = self.hashes.setdefault(key, answer[key])
            if answer[key] != expected:
                others = "the server" if not self.known else "the others"
                return f"{who}: its {what} is {answer[key][:12]}…, not {expected[:12]}… as that of {others}; give all the same weights"
        if content.array_records:
            arrays = next(iter(content.array_records.values()))
            self.start = {name: array.numpy() for name, array in arrays.items()}
        if any(answer["client"] == other["client"] for each, other in self.known.items() if each != node):
            log(WARNING, f"{who}: another node has this number too; they draw the same batches of their own data")
        self.known[node] = answer
        log(INFO, f"{who}: base {answer['base-hash'][:12]}…, start {answer['start-hash'][:12]}…")
        return None


class Greeting:
    """Put before a strategy: asks nodes that have come since the last round what they start from."""

    def __init__(self, agreement, **options):
        super().__init__(**options)
        self.agreement = agreement

    def configure_train(self, server_round, arrays, config, grid):
        """Asks the new nodes first; one that differs refuses to train by itself, as the messages name the hashes."""
        self.agreement.greet(grid)
        config.update(self.agreement.hashes)
        return super().configure_train(server_round, arrays, config, grid)

    def configure_evaluate(self, server_round, arrays, config, grid):
        """The hashes with every message."""
        config.update(self.agreement.hashes)
        return super().configure_evaluate(server_round, arrays, config, grid)

    def aggregate_train(self, server_round, replies):
        """Nodes that failed are asked anew before the next round: one may have lost what it knew."""
        replies = list(replies)
        for reply in replies:
            if reply.has_error():
                self.agreement.known.pop(reply.metadata.src_node_id, None)
        return super().aggregate_train(server_round, replies)
