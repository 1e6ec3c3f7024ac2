"""Writes what transformers' token classification pipeline says of texts, for outputs that are a function of a token's id and place.

    pip install -r ../tokenizers/requirements.txt transformers==5.24.0 torch
    python generate.py

Writes tags.json.gz: small tokenizers, and for each text the pipeline's answers by aggregation strategy.
"""

import gzip
import json
import logging
import os
import tempfile
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402
from transformers import AutoTokenizer, BertConfig, BertForTokenClassification, TokenClassificationPipeline  # noqa: E402

logging.disable(logging.CRITICAL)
FOLDER = Path(__file__).parent
LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
SPACED = [
    "Ada Lovelace wrote to Charles Babbage",
    "Angela Merkel visits the museum of Paris tomorrow",
    "one two three   four five six",
    "Łódź naïve café",
]
SIGNS = ["Ada's friend, the (great) Babbage!", "It isn't 3.14, is it? e-mail: a@b.org", "x😀y [SEP] z"]
UNSPACED = [
    "我住在北京 他去了上海",
    "これは日本語のテキストです",
    "ฉันอยู่ที่กรุงเทพ",
    "東京タワー、大阪城。",
]
MIXED = ["Ada 住在北京, Babbage 去了 London。", "我 love 北京", "ab北京cd กรุงเทพ", "x 👩‍🚀 z", "four\tfive\nsix"]


def corpus():
    texts = [*SPACED, *SIGNS, *UNSPACED, *MIXED]
    return texts * 20 + [text.lower() for text in texts] * 10


def bert(lower):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    # Too few letters for all texts, so that some words are unknown.
    tokenizer.train_from_iterator(corpus()[:240], trainers.WordPieceTrainer(vocab_size=230, limit_alphabet=110, special_tokens=specials, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tokenizer, {"tokenizer_class": "BertTokenizer", "do_lower_case": lower}


def xlm_roberta():
    """Words with spaces around them are two pieces each, and of the others only a few are known."""
    pieces = {"<s>": 0, "<pad>": 0, "</s>": 0, "<unk>": 0, "\u2581": -12}
    for word in " ".join(SPACED).split():
        pieces |= {"\u2581" + word[: len(word) // 2]: -5, word[len(word) // 2 :]: -5}
    pieces |= {piece: -6 for piece in ["\u2581我", "北京", "です", "กรุง", "ที่", "日本語", "\u2581is", "n't"]}
    pieces |= {char: -11 for text in [*SIGNS, *UNSPACED[:3], *MIXED] for char in text if char not in " 住😀🚀"}
    tokenizer = Tokenizer(models.Unigram([*pieces.items(), ("<mask>", 0)], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer, {"tokenizer_class": "XLMRobertaTokenizer"}


def roberta():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=420, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer, {"tokenizer_class": "RobertaTokenizer", "pad_token": "<pad>"}


def tag_of(token, place):
    return (token * 31 + place * 17 + token * place % 7) % 5


class Answers(TokenClassificationPipeline):
    """The pipeline with outputs that anybody can work out."""

    def _forward(self, inputs):
        outputs = super()._forward(inputs)
        ids = outputs["input_ids"][0].tolist()
        outputs["logits"] = torch.tensor([[[4.0 if tag_of(token, place) == k else 0.0 for k in range(5)] for place, token in enumerate(ids)]])
        return outputs


def units(text):
    places = [0]
    for char in text:
        places.append(places[-1] + (2 if ord(char) > 0xFFFF else 1))
    return places


def answers(tokenizer, text):
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=4, num_attention_heads=1, num_hidden_layers=1, intermediate_size=4, id2label=dict(enumerate(LABELS)), label2id={label: k for k, label in enumerate(LABELS)})
    pipeline = Answers(model=BertForTokenClassification(config), tokenizer=tokenizer)
    places = units(text)
    found = {}
    for strategy in ["none", "simple", "first"]:
        entities = pipeline(text, aggregation_strategy=strategy, ignore_labels=[] if strategy == "none" else ["O"])
        found[strategy] = [
            [entity["index"] if strategy == "none" else 0, entity.get("entity", entity.get("entity_group")), places[entity["start"]], places[entity["end"]]]
            for entity in entities
        ]
    return found


def main():
    golden = []
    kinds = {"spaced": SPACED, "signs": SIGNS, "unspaced": UNSPACED, "mixed": MIXED}
    for name, (tokenizer, settings) in {"bert": bert(True), "bert_cased": bert(False), "xlm_roberta": xlm_roberta(), "roberta": roberta()}.items():
        with tempfile.TemporaryDirectory() as folder:
            tokenizer.save(f"{folder}/tokenizer.json")
            Path(folder, "tokenizer_config.json").write_text(json.dumps(settings))
            loaded = AutoTokenizer.from_pretrained(folder)
            texts = [{"kind": kind, "text": text, "ids": loaded(text)["input_ids"], **answers(loaded, text)} for kind, texts in kinds.items() for text in texts]
        golden.append({"name": name, "file": json.loads(tokenizer.to_str()), "settings": settings, "texts": texts})
    data = json.dumps({"labels": LABELS, "tokenizers": golden}, separators=(",", ":"))
    (FOLDER / "tags.json.gz").write_bytes(gzip.compress(data.encode(), 9, mtime=0))


main()
