"""Writes what transformers' AutoTokenizer gives for folders whose files say more than tokenizer.json, or something else.

    pip install -r ../tokenizers/requirements.txt transformers==5.24.0
    python generate.py

A case is a tokenizer of ../tokenizers/tokenizers.json.gz and the files beside it. Writes folders.json.gz.
"""

import base64
import gzip
import json
import logging
import os
import sys
import tempfile
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
os.environ["HF_HUB_OFFLINE"] = "1"

from transformers import AutoTokenizer  # noqa: E402

logging.disable(logging.CRITICAL)
FOLDER = Path(__file__).parent
TOKENIZERS = FOLDER.parent / "tokenizers"
TEXTS = [
    "The quick brown Fox isn't LAZY; Café Ångström über",
    "[CUSTOMER] my parcel [AGENT]sorry[customer]late <ent> x<ent> y[X]",
    " [CLS] a [MASK] b [SEP] <s> c <mask> d </s> <pad>[PAD]",
    "北京 brown狐狸 ﬁ ①  fox\tdogs\n\nover  ",
    "<a b> <A B> new newer anew NEW new_ new",
]
PAIRS = [("The quick fox", "jumps over the lazy brown dogs it isn't"), ("a b c d e f g h", "fox"), ("", "fox [X]")]
WORDS = [["The", "quick", "[X]", "Café", "", "isn't"], ["Fox", "\u3000", "lazy dogs"]]


def read_bases():
    read = lambda name: gzip.decompress((TOKENIZERS / name).read_bytes())  # noqa: E731
    charsmap = base64.b64encode(read("charsmap.bin.gz")).decode()
    text = read("tokenizers.json.gz").decode().replace('"charsmap"', json.dumps(charsmap))
    return json.loads(text)["files"]


BASES = read_bases()


def token(content, **flags):
    return {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, **flags}


BERT = {
    "do_lower_case": True, "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
    "mask_token": "[MASK]", "tokenize_chinese_chars": True, "strip_accents": None, "tokenizer_class": "BertTokenizer",
}
GENERIC = {**BERT, "tokenizer_class": "PreTrainedTokenizerFast"}
ROBERTA = {"tokenizer_class": "RobertaTokenizer", "pad_token": "<pad>", "unk_token": "<unk>"}
XLM = {"tokenizer_class": "XLMRobertaTokenizer", "pad_token": "<pad>"}
DEBERTA = {
    "tokenizer_class": "DebertaV2Tokenizer", "pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>",
    "bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>",
}
EXTRA = ["[CUSTOMER]", "[AGENT]"]
ROBERTA_PROCESSOR = {"type": "RobertaProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2], "trim_offsets": True, "add_prefix_space": False}


def case(base, settings=None, model_type="bert", vocab_txt=False, edit=None, **files):
    return {
        "base": base, "modelType": model_type, "vocabTxt": vocab_txt, "edit": edit or {},
        "files": {
            **({} if settings is None else {"tokenizer_config.json": settings}),
            **{name + ".json": content for name, content in files.items()},
        },
    }


def added_cases(prefix, base, settings, **options):
    """The ways in which a token can stand outside tokenizer.json."""
    def make(more=None, **files):
        return case(base, {**settings, **(more or {})}, **options, **files)

    known = {str(entry["id"]): {key: entry[key] for key in entry if key != "id"} for entry in BASES[base]["added_tokens"]}
    start = max(len(BASES[base]["model"]["vocab"]), *(1 + int(key) for key in known))
    plain = [token("<ent>", special=True), token("new", special=False, normalized=True)]
    flags = [
        token("<ent>", special=False, lstrip=True, rstrip=True),
        token("new", special=False, single_word=True),
        token("<A b>", special=False, normalized=True),
        token("[X]", special=True, lstrip=True),
    ]
    fill = lambda added: {**known, **{str(start + i): entry for i, entry in enumerate(added)}}  # noqa: E731
    mask = next(key for key, entry in known.items() if "mask" in entry["content"].lower())
    cases = {
        "none": make(),
        "additional": make({"additional_special_tokens": EXTRA}),
        "extra": make({"extra_special_tokens": EXTRA}),
        "both": make({"additional_special_tokens": EXTRA, "extra_special_tokens": ["<ent>"]}),
        "extra_dict": make({"extra_special_tokens": {"image_token": "<ent>", "x": "[X]"}}),
        "extra_objects": make({"extra_special_tokens": [{"__type": "AddedToken", **token("<ent>", lstrip=True, special=True)}, "[X]"]}),
        "own_token": make({"ent_token": "<ent>", "boi_token": "[X]"}),
        "decoder": make({"added_tokens_decoder": fill(plain)}),
        "decoder_flags": make({"added_tokens_decoder": fill(flags), "additional_special_tokens": ["[X]"]}),
        "decoder_and_others": make(
            {"added_tokens_decoder": fill(plain), "extra_special_tokens": EXTRA},
            special_tokens_map={"additional_special_tokens": ["[X]"]}, added_tokens={"[X]": start + 3},
        ),
        "added_tokens": make(added_tokens={"<ent>": start, "[X]": start + 1, "new": start + 2}),
        "added_tokens_special": make(
            {"additional_special_tokens": ["[X]"]}, added_tokens={"new": start, "<A b>": start + 1, "[X]": start + 2}
        ),
        "added_tokens_order": make(added_tokens={"new": start + 1, "<ent>": start}),
        "map": make(special_tokens_map={"additional_special_tokens": EXTRA}),
        "map_objects": make(special_tokens_map={"additional_special_tokens": EXTRA, "mask_token": token("<ent>", lstrip=True)}),
        "map_extra": make(
            {"extra_special_tokens": ["<ent>"]},
            special_tokens_map={"extra_special_tokens": [token("[X]", rstrip=True), "[AGENT]"]},
        ),
        "map_extra_dict": make(special_tokens_map={"extra_special_tokens": {"x_token": "[X]"}}),
        "mask_object": make({"mask_token": {"__type": "AddedToken", **token("[X]", lstrip=True, rstrip=True)}}),
        "mask_null": make({"mask_token": None}),
        "mask_and_extra": make({"mask_token": {"__type": "AddedToken", **token("[X]", lstrip=True)}, "extra_special_tokens": ["[X]"]}),
        "mask_flags": make({"mask_token": {"__type": "AddedToken", **token(known[mask]["content"], lstrip=True, rstrip=True)}}),
        "reflag": make({"added_tokens_decoder": {**known, mask: {**known[mask], "lstrip": True, "rstrip": True}}}),
        "reflag_normalized": make({"added_tokens_decoder": {**known, mask: {**known[mask], "normalized": True, "special": False}}}),
        "named_without_flags": make({"mask_token": "[X]", "added_tokens_decoder": {**known, str(start): {"content": "[X]", "rstrip": True}}}),
        "named_and_split": make({"split_special_tokens": True, "mask_token": "[X]", "added_tokens_decoder": {**known, str(start): {"content": "[X]"}}}),
        "objects_and_added": make(
            {"extra_special_tokens": [{"__type": "AddedToken", **token("new", rstrip=True)}, "[X]"]}, added_tokens={"new": start, "[X]": start + 1}
        ),
        "own_tokens_order": make(
            {"extra_special_tokens": {"k_token": "[X]"}}, special_tokens_map={"foo_token": "<ent>", "additional_special_tokens": ["new"]}
        ),
        "map_and_added": make(
            special_tokens_map={"additional_special_tokens": EXTRA}, added_tokens={"[CUSTOMER]": start, "[AGENT]": start + 1}
        ),
        "extra_and_added": make(
            {"additional_special_tokens": EXTRA}, added_tokens={"[CUSTOMER]": start, "[AGENT]": start + 1, "New": start + 2}
        ),
        "split_special": make({"split_special_tokens": True, "additional_special_tokens": ["<ent>"], "added_tokens_decoder": fill(plain)}),
        "vocabulary_word": make({"extra_special_tokens": ["quick", "fox"]}),
    }
    return {f"{prefix}_{name}": each for name, each in cases.items()}


def cases():
    bert_words = {"do_lower_case": False}
    nfkc = {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]}, "pre_tokenizer": {"type": "WhitespaceSplit"}}
    truncation = {"direction": "Left", "max_length": 12, "strategy": "LongestFirst", "stride": 0}
    padding = {
        "strategy": {"Fixed": 16}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 4, "pad_type_id": 0, "pad_token": "[MASK]",
    }
    found = {
        **added_cases("bert", "bert", BERT),
        **added_cases("vocab", "bert", BERT, vocab_txt=True),
        **added_cases("generic", "bert", GENERIC),
        **added_cases("cased", "bert_cased", {**BERT, "do_lower_case": False}),
        **added_cases("generic_cased", "bert_cased", GENERIC),
        **added_cases("roberta", "roberta", ROBERTA, model_type="roberta"),
        **added_cases("xlm", "xlm_roberta", XLM, model_type="xlm-roberta"),
        # Which classes make their steps anew from the settings.
        "class_generic_lower": case("bert_cased", {**GENERIC, "do_lower_case": True}),
        "class_backend_lower": case("bert_cased", {"tokenizer_class": "TokenizersBackend", "do_lower_case": True}),
        "class_unknown_lower": case("bert_cased", {"tokenizer_class": "MyTokenizerFast", "do_lower_case": True}),
        "class_pretrained_lower": case("bert_cased", {"tokenizer_class": "PreTrainedTokenizer", "do_lower_case": True}),
        "class_none_lower": case("bert_cased", {"do_lower_case": True}),
        "class_none_default": case("bert_cased", {}),
        "class_no_settings": case("bert_cased"),
        "class_of_config": {**case("bert_cased", {"do_lower_case": True}), "tokenizerClass": "PreTrainedTokenizerFast"},
        "class_bert_default": case("bert_cased", {"tokenizer_class": "BertTokenizer"}),
        "class_bert_steps": case("bert", {"tokenizer_class": "BertTokenizerFast"}, edit=nfkc),
        "class_generic_steps": case("bert", {**GENERIC, "do_lower_case": False}, edit=nfkc),
        "class_types": case("bert", {**GENERIC, "model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}),
        "class_no_types": case("bert", {**BERT, "model_input_names": ["input_ids", "attention_mask"]}),
        "class_model": case("bert", BERT, edit={"model": {"max_input_chars_per_word": 3, "continuing_subword_prefix": "@@"}}),
        "class_marks": case("bert", {**BERT, "cls_token": "[MASK]", "sep_token": "[PAD]"}),
        "class_marks_generic": case("bert", {**GENERIC, "cls_token": "[MASK]", "sep_token": "[PAD]"}),
        "class_roberta_space": case("roberta", {**ROBERTA, "add_prefix_space": True}, "roberta"),
        "class_roberta_generic_space": case("roberta", {**ROBERTA, "tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": True}, "roberta"),
        "class_roberta_steps": case("roberta_spaced", ROBERTA, "roberta"),
        "class_roberta_no_settings": case("roberta_spaced", None, "roberta"),
        "class_roberta_longformer": case("roberta", {**ROBERTA, "tokenizer_class": "LongformerTokenizer"}, "roberta"),
        "class_deberta_v1": case("roberta", {**DEBERTA, "tokenizer_class": "DebertaTokenizer", "add_prefix_space": True}, "roberta"),
        "class_xlm_no_space": case("xlm_roberta", {**XLM, "add_prefix_space": False}, "xlm-roberta"),
        "class_xlm_on_bert": case("xlm_roberta", {**XLM, "do_lower_case": True}, "bert"),
        "class_xlm_steps": case("deberta", XLM, "xlm-roberta"),
        "class_xlm_no_settings": case("deberta", None, "xlm-roberta"),
        "class_deberta": case("deberta", DEBERTA, "deberta-v2"),
        "class_deberta_lower": case("deberta", {**DEBERTA, "do_lower_case": True, "split_by_punct": True}, "deberta-v2"),
        "class_deberta_no_space": case("deberta", {**DEBERTA, "add_prefix_space": False}, "deberta-v2"),
        "class_deberta_generic": case("deberta", {**DEBERTA, "tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": True}, "deberta-v2"),
        "class_albert": case("xlm_roberta", {**DEBERTA, "tokenizer_class": "AlbertTokenizer", "do_lower_case": False}, "bert", edit={"model": {"unk_id": 1}}),
        "class_mpnet": case("bert", {**BERT, "tokenizer_class": "MPNetTokenizer", "do_lower_case": False, "bos_token": "[CLS]", "eos_token": "[SEP]"}, "bert", edit={"post_processor": ROBERTA_PROCESSOR}),
        "class_electra": case("bert_cased", {"tokenizer_class": "ElectraTokenizerFast", "do_lower_case": False}, "electra"),
        "class_distilbert": case("bert_cased", {"tokenizer_class": "DistilBertTokenizer"}, "distilbert"),
        "class_distilbert_none": case("bert_cased", {"do_lower_case": False}, "distilbert"),
        "class_never_split": case("bert", {**BERT, "never_split": ["Fox", "isn't"], "do_basic_tokenize": False, "wordpieces_prefix": "@@"}),
        "class_chinese": case("bert", {**BERT, "tokenize_chinese_chars": False, "strip_accents": False}),
        "class_bos": case("bert", {**BERT, "add_bos_token": True, "add_eos_token": True, "bos_token": "[MASK]", "legacy": False}),
        "class_generic_bos": case("roberta", {"tokenizer_class": "TokenizersBackend", "add_bos_token": True, "bos_token": "<s>", "pad_token": "<pad>"}, "roberta"),
        "class_plain_processor": case("bert", {"tokenizer_class": "TokenizersBackend", "pad_token": "[PAD]"}, edit={"post_processor": None}),
        "class_bert_processor": case("bert", BERT, edit={"post_processor": None}),
        # Which side is cut, and how much is read.
        "side_left": case("bert", {**BERT, "truncation_side": "left", "model_max_length": 10}),
        "side_left_cased": case("bert_cased", {**GENERIC, "truncation_side": "left", "model_max_length": 9}),
        "side_left_roberta": case("roberta", {**ROBERTA, "truncation_side": "left", "model_max_length": 11}, "roberta"),
        "side_of_file": case("bert", {**BERT, "model_max_length": 11}, edit={"truncation": truncation, "padding": padding}),
        "side_overruled": case("bert", {**BERT, "model_max_length": 9, "truncation_side": "right"}, edit={"truncation": truncation}),
        "side_generic_file": case("bert", {"tokenizer_class": "TokenizersBackend", "model_max_length": 11}, edit={"truncation": truncation, "padding": padding}),
        "side_padding": case("bert", {**BERT, "padding_side": "left", "model_max_length": 12}),
        "side_max_len": case("bert", {**BERT, "max_len": 9}),
    }
    return found


def write_folder(folder, each, bases):
    file = json.loads(json.dumps(bases[each["base"]]))
    for key, value in each["edit"].items():
        file[key] = {**file[key], **value} if key == "model" else value
    if each["vocabTxt"]:
        vocab = file["model"]["vocab"]
        (folder / "vocab.txt").write_text("\n".join(sorted(vocab, key=vocab.get)) + "\n")
    else:
        (folder / "tokenizer.json").write_text(json.dumps(file))
    config = {"model_type": each["modelType"]}
    if "tokenizerClass" in each:
        config["tokenizer_class"] = each["tokenizerClass"]
    (folder / "config.json").write_text(json.dumps(config))
    for name, content in each["files"].items():
        (folder / name).write_text(json.dumps(content))


def results(tokenizer):
    state = tokenizer.backend_tokenizer.pre_tokenizer.__getstate__().decode()
    has_words = '"ByteLevel","add_prefix_space":false' not in state  # transformers would join words then
    long = {"truncation": True, "padding": False}
    limit = tokenizer.model_max_length if tokenizer.model_max_length < 10**9 else 14
    found = {"class": type(tokenizer).__name__, "size": len(tokenizer), "pad": tokenizer.pad_token_id, "length": min(tokenizer.model_max_length, 10**9)}
    found["texts"] = [tokenizer(text, truncation=limit < 14, padding=False, max_length=limit)["input_ids"] for text in TEXTS]
    pairs = [tokenizer(first, second, max_length=limit, **long) for first, second in PAIRS]
    found["pairs"] = [pair["input_ids"] for pair in pairs]
    found["types"] = [pair.get("token_type_ids") for pair in pairs]
    words = [tokenizer(words, is_split_into_words=True, max_length=limit, **long) for words in WORDS if has_words]
    found["words"] = [[each["input_ids"], [-1 if word is None else word for word in each.word_ids()]] for each in words]
    length = len(tokenizer(PAIRS[0][0], "")["input_ids"]) + 4
    whole = tokenizer(*PAIRS[0], truncation="only_second", max_length=length, stride=1, return_overflowing_tokens=True, padding=False)
    found["windows"] = [length, whole["input_ids"]]
    return found


def main():
    golden = []
    for name, each in cases().items():
        if len(sys.argv) > 1 and sys.argv[1] not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            write_folder(Path(folder), each, BASES)
            try:
                found = results(AutoTokenizer.from_pretrained(folder))
            except Exception as error:
                found = {"error": f"{type(error).__name__}: {error}"[:200]}
        if len(sys.argv) > 1 or "error" in found:
            print(name, json.dumps(found))
        golden.append({"name": name, **each, "expected": found})
    if len(sys.argv) == 1:
        data = json.dumps({"texts": TEXTS, "pairs": PAIRS, "words": WORDS, "cases": golden}, separators=(",", ":"))
        (FOLDER / "folders.json.gz").write_bytes(gzip.compress(data.encode(), 9, mtime=0))


main()
