"""Puts every case through the command and prints a table: python check.py CASES VOCABULARY WORK"""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import torch
import transformers
from rebuild import copy, outputs_of, rebuild

root = Path(__file__).parents[3]
cases, vocabulary, work = (Path(argument).resolve() for argument in sys.argv[1:4])
four = [
    "the parcel came broken and nobody answers",
    "would order again, quick and friendly",
    "it is fine i suppose",
    "A wonderful little shop in the old town!",
]
tolerance = 1e-4


class Failed(Exception):
    pass


def federa(*arguments, environment=None):
    """Exit code, standard output and error of the command, run in the folder of the cases."""
    done = subprocess.run(
        ["node", root / "scripts/with_gpu.mjs", root / "src/cli/main.ts", *arguments],
        capture_output=True, text=True, cwd=work, timeout=300, env={**os.environ, **(environment or {})},
    )
    return done.returncode, done.stdout, done.stderr


def predict(adapter, texts, *options, environment=None):
    code, out, err = federa("predict", "--adapter", adapter, "--json", *options, "--", *texts, environment=environment)
    if code != 0:
        raise Failed(f"exit {code}: {err.strip().splitlines()[-1]}")
    return [json.loads(line)["prediction"] for line in out.splitlines()]


def read(path, kind, columns=None, **options):
    """Examples as the library reads them."""
    code = (
        'import { readExamples } from "./src/data/mod.ts";'
        f"console.log(JSON.stringify(await readExamples({json.dumps(str(work / path))}, {json.dumps(kind)},"
        f" {json.dumps({'columns': columns or {}, **options})}), (k, v) => typeof v === 'bigint' ? String(v) : v));"
    )
    done = subprocess.run(
        ["node", "--import", "./scripts/register.mjs", "--input-type=module", "-e", code],
        capture_output=True, text=True, cwd=root,
    )
    if done.returncode == 0:
        return json.loads(done.stdout)
    errors = [line for line in done.stderr.splitlines() if "Error: " in line]
    raise Refused(errors[0].replace(str(work) + "/", "") if errors else done.stderr)


class Refused(Exception):
    pass


def same(found, expected):
    if found != expected:
        raise Failed(f"got {found}, expected {expected}")
    return json.dumps(found, ensure_ascii=False)


def near(found, expected):
    worst = max(abs(a - b) for row, right in zip(found, expected, strict=True) for a, b in zip(row, right, strict=True))
    if not worst <= tolerance:
        raise Failed(f"off by {worst:.2g}: got {found[0]}, expected {expected[0]}")
    return f"as the reference, to {worst:.0e}"


def shares(predictions):
    return [list(each["probabilities"].values()) for each in predictions]


def softmax(logits):
    return torch.softmax(logits, -1).tolist()


def refusal(result, *words):
    """What an expected refusal says; every word must be in it, and no stack."""
    code, out, err = result
    message = "\n".join(line for line in err.strip().splitlines() if not line.startswith(("Adapter:", "Warning: max")))
    if code == 0:
        raise Failed(f"no refusal: {out.strip()[:200]}")
    missing = [word for word in words if word not in message]
    if missing or "\n    at " in message:
        raise Failed(f"refusal lacks {missing}: {message[-300:]}")
    return "refused: " + message.splitlines()[-1].replace(str(work) + "/", "")


def refused_read(words, *arguments, **options):
    try:
        found = read(*arguments, **options)
    except Refused as error:
        missing = [word for word in words if word not in str(error)]
        if missing:
            raise Failed(f"refusal lacks {missing}: {error}") from None
        return f"refused: {error}"
    raise Failed(f"no refusal: {found}")


def ran(result, *words):
    code, out, err = result
    if code != 0:
        raise Failed(f"exit {code}: {err.strip()[-300:]}")
    missing = [word for word in words if word not in out]
    if missing:
        raise Failed(f"output lacks {missing}: {out[:600]}")
    return next((line.strip() for line in out.splitlines() if words and words[0] in line), "ran")


def ckpt_id2label_duplicates():
    found = predict("ckpt_id2label_duplicates/model", four)
    if any(len(each["probabilities"]) != 3 for each in found):
        raise Failed(f"three classes, got {found[0]}")
    _, _, err = federa("predict", "--adapter", "ckpt_id2label_duplicates/model", "hello")
    if "other" not in err:
        raise Failed(f"no warning of the name given twice: {err}")
    names = " / ".join(found[0]["probabilities"])
    return near(shares(found), softmax(outputs_of(work / "_duplicates", four))) + f"; classes {names}"


def ckpt_id2label_ints():
    return near(shares(predict("ckpt_id2label_ints/model", four)), softmax(outputs_of(work / "ckpt_id2label_ints/model", four)))


def several_numbers(found):
    values = [each.get("values", each) for each in found]
    return [list(each.values() if isinstance(each, dict) else each) for each in values]


def ckpt_multi_regression():
    found = predict("ckpt_multi_regression/model", four)
    return near(several_numbers(found), outputs_of(work / "ckpt_multi_regression/model", four).tolist())


def ckpt_no_pooler():
    return refusal(federa("predict", "--adapter", "ckpt_no_pooler/model", "hello"), "pooler")


def conll_index_column():
    # Two columns of tags: the first is the outer one; what is taken must be said or asked for.
    try:
        found = read("conll_index_column/d.conll", "token-classification")
    except Refused as error:
        return f"refused: {error}"
    words = [each["tokens"] for each in found]
    if words != [["Sie", "wohnt", "in", "Bern"]]:
        raise Failed(f"got {found}")
    return json.dumps(found, ensure_ascii=False)


def conll_space_tokens():
    return same(read("conll_space_tokens/d.conll", "token-classification"), [{
        "tokens": ["I", "left", "New York", "with", "12\u00a0000", "euros"],
        "tags": ["O", "O", "B-LOC", "O", "O", "O"],
    }])


def csv_empty_labels():
    first = refused_read(["line 3"], "csv_empty_labels/d.csv", "sequence-classification")
    dropped = read("csv_empty_labels/d.csv", "sequence-classification", missingLabels="drop")
    import pandas
    frame = pandas.read_csv(work / "csv_empty_labels/d.csv").dropna()
    texts = [each["text"] for each in dropped]
    if texts != list(frame["text"]):
        raise Failed(f"dropped otherwise than pandas: {texts}")
    return f"{first}; on request {json.dumps(dropped)}"


def csv_latin1_spam():
    columns = {"textColumn": "v2", "labelColumn": "v1"}
    first = refused_read(["line 3", "byte"], "csv_latin1_spam/d.csv", "sequence-classification", columns)
    expected = [{"text": "Ok lar, see you", "label": "ham"}, {"text": "Win £1000 now", "label": "spam"}]
    same(read("csv_latin1_spam/d.csv", "sequence-classification", columns, encoding="latin1"), expected)
    same(read("csv_latin1_spam/d8.csv", "sequence-classification", columns), expected)
    return f"{first}; with encoding, and in UTF-8, as pandas"


def csv_semicolon():
    same(read("csv_semicolon/d2.csv", "sequence-classification"), [{"text": "Gut aber teuer", "label": "neg"}])
    return same(read("csv_semicolon/d.csv", "sequence-classification"), [
        {"text": "Gut, aber teuer", "label": "neg"}, {"text": "Sehr gut", "label": "pos"},
    ])


def eval_quotes_stripped():
    ran(federa("run", "eval_quotes_stripped/c.json"))
    folder = "eval_quotes_stripped/runs/r-001"
    code, out, err = federa("evaluate", "--adapter", f"{folder}/federa", "eval_quotes_stripped/t.tsv", "--json")
    if code != 0:
        raise Failed(err)
    summary = json.loads((work / folder / "summary.json").read_text())
    loss = json.loads(out)["loss"]
    text = json.dumps(summary)
    recorded = [value for value in find(summary, "loss") if isinstance(value, float)]
    if not any(math.isclose(loss, value, rel_tol=1e-5) for value in recorded):
        raise Failed(f"evaluate's loss {loss} is none of the run's {recorded}; {text[:100]}")
    return f"evaluate reads the file as the run did: loss {loss:.4f} in both"


def find(tree, key):
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key:
                yield value
            yield from find(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from find(value, key)


def fl_bigint_keys():
    lines = (work / "fl_bigint_keys/d.jsonl").read_text().splitlines()
    keys = [str(json.loads(line)["user"]) for line in lines]
    found = read("fl_bigint_keys/d.jsonl", "sequence-classification", {"keyColumn": "user"})
    same([each["key"] for each in found], keys)
    return f"{len(set(keys))} users, each with its own key, such as {keys[0]}"


def fl_multilabel_roundtrip():
    ran(federa("run", "fl_multilabel_roundtrip/c.json"))
    shutil.rmtree(work / "fl_multilabel_roundtrip/exp")
    ran(federa("export", "--adapter", "fl_multilabel_roundtrip/runs/r-001/federa", "--output", "fl_multilabel_roundtrip/exp"))
    texts = ["red blue warm"]
    own = predict("fl_multilabel_roundtrip/runs/r-001/federa", texts)
    back = predict("fl_multilabel_roundtrip/exp", texts)
    python = torch.sigmoid(outputs_of(
        None, texts, base=work / "_base_bert", adapter=work / "fl_multilabel_roundtrip/exp",
        num_labels=3, max_length=16,
    )).tolist()
    same(list(back[0]["probabilities"]), list(own[0]["probabilities"]))
    near(shares(own), shares(back))
    return near(shares(back), python)


def fl_qa_empty_text():
    return ran(federa("run", "fl_qa_empty_text/c.json"), "federa")


def fl_qa_long_question():
    return ran(federa("run", "fl_qa_long_question/c.json"), "Skipped")


def fl_test_label_unseen():
    return refusal(federa("run", "fl_test_label_unseen/c.json"), "line 3", "test.csv", '"c"')


def hub_adapter_revision():
    # A cache as the Python library makes it, without the network.
    cache = work / "hub_adapter_revision/hub"
    environment = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    found = predict("hub_adapter_revision/adapter", four, environment=environment)
    snapshot = cache / "models--acme--tiny/snapshots" / ("a" * 40)
    return near(shares(found), softmax(outputs_of(None, four, base=snapshot, adapter=work / "hub_adapter_revision/adapter")))


def ner_predict_chinese():
    folder = work / "ner_predict_chinese/model"
    text = "我住在北京 他去了上海"
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tags = transformers.pipeline("token-classification", model=model, tokenizer=tokenizer, ignore_labels=[])(text)
    expected = [each["entity"] for each in tags if each["word"] not in ("[CLS]", "[SEP]")]
    found = predict("ner_predict_chinese/model", [text])[0]
    same(list(found["tags"]), expected)
    return f"{len(expected)} tags as the pipeline's: {' '.join(expected)}"


def peft_base_path_gone():
    said = refusal(federa("predict", "--adapter", "peft_base_path_gone/adapter", "hello"), "/home/someone/models/bert-tiny", "--base")
    found = predict("peft_base_path_gone/adapter", four, "--base", "peft_base_path_gone/base")
    near(shares(found), softmax(outputs_of(None, four, base=work / "peft_base_path_gone/base", adapter=work / "peft_base_path_gone/adapter")))
    return f"{said}; with --base as PEFT"


def peft(name):
    found = predict(f"{name}/adapter", four)
    return found, outputs_of(None, four, base=work / name / "base", adapter=work / name / "adapter")


def peft_deberta_base_has_pooler():
    found, expected = peft("peft_deberta_base_has_pooler")
    return near(shares(found), softmax(expected))


def peft_deberta_pooler_lost():
    return refusal(federa("predict", "--adapter", "peft_deberta_pooler_lost/adapter", "hello"), "pooler")


def peft_multi_regression():
    found, expected = peft("peft_multi_regression")
    return near(several_numbers(found), expected.tolist())


def peft_task_type_null():
    found, expected = peft("peft_task_type_null")
    return near(shares(found), softmax(expected))


def pq_shards():
    folder = work / "pq_shards"
    for i in range(2):
        rows = [{"text": f"{word} {i} {k}", "label": k % 2} for k, word in enumerate(["red", "blue", "warm", "cold"] * 5)]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / f"a-0000{i}-of-00002.parquet")
    config = json.loads((folder / "c.json").read_text())
    said = []
    shards = [f"a-0000{i}-of-00002.parquet" for i in range(2)]
    for train in (shards, "a-*.parquet", ".", shards[0]):
        config["data"]["train"] = train
        path = folder / "c.json"
        path.write_text(json.dumps(config))
        said.append(ran(federa("run", "pq_shards/c.json", "--output", str(folder / "runs")), "Data: 28"))
        shutil.rmtree(folder / "runs")
    return f"list, pattern, folder, one of the shards: {said[0]}"


def pq_types():
    same(read("pq_types/d.parquet", "sequence-classification", {"labelColumn": "lab"}), [
        {"text": text, "label": label} for text, label in zip("abcd", "xyxy")
    ])
    first = refused_read(["row 3"], "pq_types/d.parquet", "sequence-classification", {"labelColumn": "f"})
    refused_read(["row 3"], "pq_types/d.parquet", "sequence-classification", {"labelColumn": "b"})
    read("pq_types/d.parquet", "sequence-classification", {"labelColumn": "i"})
    return f"categories as pandas; {first}"


def qa_empty_answer():
    expected = [{"id": "1", "question": "q", "context": "c d", "answers": []}]
    same(read("qa_empty_answer/m1.jsonl", "question-answering"), expected)
    return same(read("qa_empty_answer/z.jsonl", "question-answering"), expected)


def qa_squad2_whole_model():
    folder = "qa_squad2_whole_model/model"
    data = work / "qa_squad2_whole_model/d.jsonl"
    code, out, err = federa("evaluate", "--adapter", folder, str(data))
    if code != 0:
        raise Failed(err)
    always = federa("evaluate", "--adapter", folder, str(data), "--no-answer-threshold", "-1000", "--json")
    never = federa("evaluate", "--adapter", folder, str(data), "--no-answer-threshold", "1000", "--json")
    scores = [json.loads(each[1])["scores"]["exactMatch"] for each in (always, never)]
    same(scores, [1, 0])
    return "exact match 1 where every question is left unanswered, 0 where none is"


def tok(name, **options):
    texts = json.loads((work / name / "texts.json").read_text())
    return near(shares(predict(f"{name}/model", texts)), softmax(outputs_of(work / name / "model", texts, **options)))


def tok_additional_special():
    return tok("tok_additional_special")


def tok_bert_japanese():
    return refusal(federa("predict", "--adapter", "tok_bert_japanese/model", "これはとてもいい店です。"), "BertJapanese")


def tok_generic_class_lower():
    return tok("tok_generic_class_lower")


def tok_truncation_left():
    # The length that the case was seen with.
    texts = json.loads((work / "tok_truncation_left/texts.json").read_text())
    found = predict("tok_truncation_left/model", texts, "--max-length", "128")
    return near(shares(found), softmax(outputs_of(work / "tok_truncation_left/model", texts, max_length=128)))


def main():
    copy(cases, work)
    for case in sorted(work.iterdir()):
        rebuild(case, vocabulary)
    # As transformers can't load the name given twice with its own label2id in every version.
    shutil.copytree(work / "ckpt_id2label_duplicates/model", work / "_duplicates")
    config = json.loads((work / "_duplicates/config.json").read_text())
    config.pop("id2label"), config.pop("label2id")
    (work / "_duplicates/config.json").write_text(json.dumps({**config, "num_labels": 3}))
    os.chdir(work)
    wrong = 0
    wanted = sys.argv[4:]
    for name in sorted(each.name for each in cases.iterdir() if each.is_dir()):
        if wanted and name not in wanted:
            continue
        check = globals().get(name)
        try:
            state, said = ("ok", check()) if check else ("no check", "")
        except Exception as error:
            state, said = "WRONG", f"{type(error).__name__}: {error}"
        wrong += state != "ok"
        print(f"{state:8} {name:30} {said[:400]}", flush=True)
    print(f"{wrong} wrong")
    sys.exit(1 if wrong else 0)


main()
