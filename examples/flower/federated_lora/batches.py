"""The examples of each local step, drawn as federa draws them: the same seed, round and client give the same batches."""

TWO_32 = 2**32


def philox(counter, key):
    """Philox4x32-10 (Salmon et al., SC 2011, section 3.3): four words of 32 bits from a counter and a key."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        product0, product1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (product1 >> 32) ^ c1 ^ k0, product1 % TWO_32, (product0 >> 32) ^ c3 ^ k1, product0 % TWO_32
        k0, k1 = (k0 + 0x9E3779B9) % TWO_32, (k1 + 0xBB67AE85) % TWO_32
    return c0, c1, c2, c3


def random_key(seed, *path):
    """The key of a stream, which follows from a seed and the stream's place."""
    key = (0, 0)
    for part in (seed, *path):
        if isinstance(part, str):
            words = [(len(part), 0, 2)] + [(ord(unit), 0, 3) for unit in part]
        else:
            words = [(part % TWO_32, part // TWO_32, 1)]
        for low, high, tag in words:
            key = philox((low, high, tag, 0), key)[:2]
    return key


def shuffled(items, key):
    """A copy in random order (Fisher and Yates), each order equally likely."""
    words = (word for block in range(TWO_32) for word in philox((block, 0, 0, 0), key))
    items = list(items)
    for i in range(len(items) - 1, 0, -1):
        limit = TWO_32 - TWO_32 % (i + 1)
        j = next(word for word in words if word < limit) % (i + 1)
        items[i], items[j] = items[j], items[i]
    return items


def plan_batches(num_examples, config, client):
    """The rows of each local step: shuffled anew in each pass over the data; the last batch of a pass may be short."""
    size = config["batch-size"]
    per_pass = -(-num_examples // size)
    steps = config["local-steps"] if "local-steps" in config else config["local-epochs"] * per_pass
    batches, turn = [], 0
    while len(batches) < steps:
        order = shuffled(range(num_examples), random_key(config["seed"], "batches", config["server-round"], client, turn))
        batches += [order[i * size : (i + 1) * size] for i in range(per_pass)]
        turn += 1
    return batches[:steps]
