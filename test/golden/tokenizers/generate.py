"""Makes small tokenizers with Python's `tokenizers`, and what they give for 1,000 odd strings.

    pip install -r requirements.txt
    python generate.py [FILE.json FILE.json]

Writes tokenizers.json.gz (the files, and hashes of ids and positions) and charsmap.bin.gz (SentencePiece's rules nmt_nfkc). With
two files it prints instead, as JSON, what the tokenizer of the first one gives, and writes it to the second.
"""

import base64
import gzip
import io
import json
import struct
import sys
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = Path(__file__).parent
LONG = 100_000
# Python leaves a space in the first token's place of later windows, or (without special tokens) all places out.
WITHOUT_WINDOWS = ["bert_split", "roberta_spaced"]


def numbers(seed):
    """Mulberry32: unsigned 32-bit integers."""
    mask = 0xFFFFFFFF
    state = seed
    while True:
        state = (state + 0x6D2B79F5) & mask
        t = ((state ^ state >> 15) * (state | 1)) & mask
        t = (t + ((t ^ t >> 7) * (t | 61) & mask) & mask) ^ t
        yield (t ^ t >> 14) & mask


class OddStrings:
    def __init__(self, seed, names=None):
        kinds = json.loads((FOLDER / "odd_strings.json").read_text())
        self.kinds = [kind for name, kind in kinds.items() if names is None or name in names]
        self.numbers = numbers(seed)

    def below(self, count):
        return next(self.numbers) % count

    def item(self, kind):
        if "pieces" in kind:
            return kind["pieces"][self.below(len(kind["pieces"]))]
        first, last = kind["ranges"][self.below(len(kind["ranges"]))]
        return chr(first + self.below(last - first + 1))

    def string(self):
        text = ""
        for _ in range(1 + self.below(12)):
            kind = self.kinds[self.below(len(self.kinds))]
            text += "".join(self.item(kind) for _ in range(1 + self.below(8)))
            if self.below(3) == 0:
                text += " "
        return text

    def long(self, kind=None):
        text = ""
        while len(text) < LONG:
            text += self.string() if kind is None else self.item(kind)
        return text[:LONG]


def odd_strings():
    odd = OddStrings(1)
    kinds = json.loads((FOLDER / "odd_strings.json").read_text())
    strings = ["", " ", "\n", "a", "\u0301", "[CLS]", "<s>"]
    while len(strings) < 996:
        strings.append(odd.string())
    return strings + [odd.long(), "a" * LONG, odd.long(kinds["chinese"]), "a" + odd.long({"ranges": [[0x300, 0x314]]})[1:]]


def fnv(values, start=0x811C9DC5):
    """FNV-1a over unsigned 32-bit integers."""
    for value in values:
        start = ((start ^ value) * 0x01000193) & 0xFFFFFFFF
    return start


def units(text):
    """Index in UTF-16 units of every code point, and of the end."""
    places = [0]
    for char in text:
        places.append(places[-1] + (2 if ord(char) > 0xFFFF else 1))
    return places


def single(tokenizer, text):
    encoding = tokenizer.encode(text)
    places = units(text)
    spans = [
        [places[start], places[end]] if sequence is not None else None
        for (start, end), sequence in zip(encoding.offsets, encoding.sequence_ids)
    ]
    return {"ids": encoding.ids, "types": encoding.type_ids, "spans": spans}


def hash_of(result):
    values = [*result["ids"], *result["types"]]
    for span in result.get("spans", []):
        values += [0xFFFFFFFF] if span is None else span
    return fnv([value & 0xFFFFFFFF for value in values + result.get("words", [])])


def pair(tokenizer, first, second, max_length):
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    encoding = tokenizer.encode(first, second)
    tokenizer.no_truncation()
    return {"ids": encoding.ids, "types": encoding.type_ids}


def words(tokenizer, items, max_length):
    tokenizer.enable_truncation(max_length)
    encoding = tokenizer.encode(items, is_pretokenized=True)
    tokenizer.no_truncation()
    return {
        "ids": encoding.ids,
        "types": encoding.type_ids,
        "words": [-1 if word is None else word for word in encoding.word_ids],
    }


def windows(tokenizer, first, second, max_length, stride):
    """Types of the first window alone: in the others templates leave those of the second text as they were."""
    tokenizer.enable_truncation(max_length, stride=stride, strategy="only_second")
    whole = tokenizer.encode(first, second)
    tokenizer.no_truncation()
    places = units(second)
    return [
        {
            "ids": encoding.ids,
            "types": encoding.type_ids if encoding is whole else [],
            "spans": [
                [places[start], places[end]] if sequence == 1 else None
                for (start, end), sequence in zip(encoding.offsets, encoding.sequence_ids)
            ],
        }
        for encoding in [whole, *whole.overflowing]
    ]


def results(tokenizer, strings, has_windows=True):
    """Hashes of what a tokenizer gives; a hash a string first, then one for pairs, for words and for windows of every tenth."""
    spaced = with_prefix_space(tokenizer)
    hashes = [hash_of(single(tokenizer, text)) for text in strings]
    for i in range(0, 990, 10):
        hashes.append(hash_of(pair(tokenizer, strings[i], strings[i + 1], 8 + i % 37)))
        hashes.append(hash_of(words(spaced, strings[i : i + 9], 6 + i % 61)))
        question = strings[i + 2][:12]
        room = len(tokenizer.encode(question, "").ids)
        stride = i % 5
        window = windows(tokenizer, question, strings[i + 3] * 3, room + stride + 1 + i % 7, stride)
        hashes.append(fnv([hash_of(part) for part in window]) if has_windows else 0)
    return hashes


def with_prefix_space(tokenizer):
    """A tokenizer for words: `transformers` wants byte-level ones to put a space before each."""
    file = json.loads(tokenizer.to_str())
    if (file["pre_tokenizer"] or {}).get("type") == "ByteLevel":
        file["pre_tokenizer"]["add_prefix_space"] = True
    return Tokenizer.from_str(json.dumps(file))


def corpus():
    odd = OddStrings(2, ["words", "spaces", "emoji", "letters", "digits", "greek", "hebrew", "kana", "combining"])
    sentence = "The quick brown fox isn't lazy; it jumps over 13 lazy dogs, doesn't it? Unbelievably, we tokenize words."
    return [odd.string() for _ in range(4000)] + [sentence] * 50


def bert(texts):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=2500, limit_alphabet=900, special_tokens=specials))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def roberta(texts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def xlm_roberta(texts, charsmap):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    trainer = trainers.UnigramTrainer(vocab_size=1800, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>")
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def change(tokenizer, **steps):
    copy = Tokenizer.from_str(tokenizer.to_str())
    for name, step in steps.items():
        setattr(copy, name, step)
    # Once more from text, as added tokens get their ids by the model that they are read with.
    return Tokenizer.from_str(copy.to_str())


def variants(bert, roberta, xlm_roberta, charsmap):
    """Tokenizers that differ from the trained ones in a few steps, so that every step is met."""
    N, P = normalizers, pre_tokenizers
    cased = change(
        bert,
        normalizer=N.BertNormalizer(lowercase=False),
        post_processor=processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)),
    )
    cased.add_tokens([AddedToken("fox", single_word=True), AddedToken("Quick", rstrip=True), "\u3000", "ox"])
    marked = change(bert, normalizer=N.Sequence([N.StripAccents(), N.Lowercase()]), pre_tokenizer=P.Whitespace())
    marked.add_tokens([AddedToken("Quick", single_word=True, normalized=True), AddedToken("e\u0301", lstrip=True)])
    deberta = change(
        xlm_roberta,
        normalizer=N.Sequence([N.Strip(), N.Precompiled(charsmap), N.Replace(Regex(" {2,}"), " ")]),
        pre_tokenizer=P.Sequence([P.Punctuation(behavior="isolated"), P.Metaspace(prepend_scheme="first")]),
    )
    unigram = json.loads(xlm_roberta.to_str())["model"]
    pieces = [tuple(piece) for piece in unigram["vocab"]] + [(f"<0x{byte:02X}>", -20.0 - byte / 7) for byte in range(256)]
    bytewise = change(
        xlm_roberta,
        model=models.Unigram(pieces, unigram["unk_id"], byte_fallback=True),
        normalizer=N.Sequence([N.NFKC(), N.Prepend("\u2581"), N.Replace(" ", "\u2581")]),
        pre_tokenizer=P.Metaspace(prepend_scheme="never", split=False),
    )
    vocabulary = json.loads(roberta.to_str())["model"]
    suffixed = change(
        roberta,
        model=suffixed_bpe(vocabulary),
        normalizer=N.NFKD(),
        pre_tokenizer=P.Sequence([P.WhitespaceSplit(), P.Digits(individual_digits=True), P.Punctuation("merged_with_previous")]),
        post_processor=processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=False),
    )
    spaced = change(
        roberta,
        normalizer=N.NFC(),
        pre_tokenizer=P.ByteLevel(add_prefix_space=True),
        post_processor=processors.Sequence([processors.ByteLevel(trim_offsets=True), xlm_roberta.post_processor]),
    )
    split = change(
        bert,
        normalizer=N.NFD(),
        pre_tokenizer=P.Sequence([
            P.Split(Regex(r"\s+(?!\S)|\s+|[^\s\p{L}\p{N}]"), "merged_with_next"),
            P.Split(Regex(r"\p{Lu}?\p{Ll}{2,}"), "contiguous", invert=True),
            P.Split("e", "merged_with_previous"),
            P.Digits(),
            P.Split(Regex(r"\w+"), "removed", invert=True),
        ]),
        post_processor=None,
    )
    return {
        "bert": bert, "bert_cased": cased, "bert_marked": marked, "bert_split": split, "roberta": roberta,
        "roberta_spaced": spaced, "bpe_suffixed": suffixed, "xlm_roberta": xlm_roberta, "deberta": deberta,
        "unigram_bytes": bytewise,
    }


def suffixed_bpe(model):
    """Byte-pair encoding in the manner of GPT, with a mark at the end of words, and unknown characters."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": len(model["vocab"])}
    merges = []
    for token in [*letters, *(letter + "</w>" for letter in letters), *"0123456789"]:
        vocabulary[token] = 4 + len(vocabulary)
    for left, right in ["th", "he", "qu", "ui", "in", "an", "er", "re"]:
        merges += [(left, right), (left, right + "</w>")]
        vocabulary[left + right] = 4 + len(vocabulary)
        vocabulary[left + right + "</w>"] = 4 + len(vocabulary)
    merges += [("th", "e</w>"), ("qu", "i")]
    for merge in merges[-2:]:
        vocabulary["".join(merge)] = 4 + len(vocabulary)
    return models.BPE(vocabulary, merges, unk_token="<unk>", end_of_word_suffix="</w>", fuse_unk=True)


def read_charsmap():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([f"hello world number {i} some words here" for i in range(2000)]),
        model_writer=model, vocab_size=60, normalization_rule_name="nmt_nfkc", minloglevel=2,
    )
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return proto.normalizer_spec.precompiled_charsmap


def compact(tokenizer, charsmap):
    """A tokenizer's file, without the rules that another file has."""
    return json.loads(tokenizer.to_str().replace(base64.b64encode(charsmap).decode(), "charsmap"))


def main():
    strings = odd_strings()
    if len(sys.argv) > 1:
        tokenizer = Tokenizer.from_file(sys.argv[1])
        tokenizer.no_padding()
        tokenizer.no_truncation()
        Path(sys.argv[2]).write_text(json.dumps(results(tokenizer, strings)))
        return
    texts = corpus()
    charsmap = read_charsmap()
    trained = variants(bert(texts), roberta(texts), xlm_roberta(texts, charsmap), charsmap)
    golden = {
        "strings": fnv([ord(char) for text in strings for char in text + "\0"]),
        "files": {name: compact(tokenizer, charsmap) for name, tokenizer in trained.items()},
        "samples": {name: [single(tokenizer, text) for text in strings[7:10]] for name, tokenizer in trained.items()},
        "hashes": {
            name: base64.b64encode(struct.pack(f"<{len(strings) + 297}I", *results(tokenizer, strings, name not in WITHOUT_WINDOWS))).decode()
            for name, tokenizer in trained.items()
        },
    }
    write("tokenizers.json.gz", json.dumps(golden, separators=(",", ":")).encode())
    write("charsmap.bin.gz", charsmap)


def write(name, data):
    (FOLDER / name).write_bytes(gzip.compress(data, 9, mtime=0))


main()
