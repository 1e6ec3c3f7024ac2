"""Writes a small BertForQuestionAnswering with its tokenizer (model/), questions (questions.jsonl) and what transformers makes
of them (reference.json): pip install -r requirements.txt; python generate.py

Windows, loss and answers are those of transformers' examples/pytorch/question-answering (run_qa.py, utils_qa.py), with
version_2_with_negative; scores and thresholds those of transformers.data.metrics.squad_metrics, which is SQuAD's script."""

import json
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForQuestionAnswering, PreTrainedTokenizerFast
from transformers.data.metrics.squad_metrics import find_best_thresh, squad_evaluate
from transformers.data.processors.squad import SquadExample

here = Path(__file__).parent
draw = random.Random(8)
torch.manual_seed(8)
torch.set_num_threads(1)

PEOPLE = ["ada", "paul", "mina", "omar", "lena", "igor"]
PLACES = ["paris", "london", "new york", "rome", "san remo", "oslo"]
FILLER = ["once", "in", "a", "while", "old", "dogs", "ran", "far", "away", "the", "sun", "rose"]
words = sorted({w for phrase in PEOPLE + PLACES + FILLER + ["lives", "in", "where", "."] for w in phrase.split()})
vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}

tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
tokenizer.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]",
    pair="[CLS] $A [SEP] $B:1 [SEP]:1",
    special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
)
fast = PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=48,
    model_input_names=["input_ids", "token_type_ids", "attention_mask"],
)
MAX_LENGTH, STRIDE, MAX_ANSWER = 24, 8, 30


def question(i):
    # A context may be of several windows, an answer of two words; some questions are of people that it doesn't tell of.
    people = draw.sample(PEOPLE, 1 + draw.randrange(3))
    parts, where = [], {}
    for person in people:
        parts += [draw.choice(FILLER) for _ in range(draw.randrange(9))]
        place = draw.choice(PLACES)
        parts += [person.capitalize(), "lives", "in"]
        where[person] = (place.title() if draw.random() < 0.5 else place, len(" ".join(parts)) + 1)
        parts += [where[person][0], "."]
    asked = draw.choice(people if draw.random() < 0.6 else PEOPLE)
    answers = {"text": [], "answer_start": []}
    if asked in where:
        answers = {"text": [where[asked][0]], "answer_start": [where[asked][1]]}
    return {"id": f"q{i}", "question": f"where lives {asked}", "context": " ".join(parts), "answers": answers}


def features(rows):
    encoded = fast(
        [row["question"] for row in rows], [row["context"] for row in rows], truncation="only_second", max_length=MAX_LENGTH,
        stride=STRIDE, return_overflowing_tokens=True, return_offsets_mapping=True, padding="max_length", return_tensors="pt",
    )
    starts, ends = [], []
    for k, i in enumerate(encoded["overflow_to_sample_mapping"].tolist()):
        answers, offsets, sequence = rows[i]["answers"], encoded["offset_mapping"][k].tolist(), encoded.sequence_ids(k)
        first, last = 0, 0
        if answers["text"]:
            begin = answers["answer_start"][0]
            end = begin + len(answers["text"][0])
            tokens = [t for t, s in enumerate(sequence) if s == 1]
            if offsets[tokens[0]][0] <= begin and offsets[tokens[-1]][1] >= end:
                first = max(t for t in tokens if offsets[t][0] <= begin)
                last = min(t for t in tokens if offsets[t][1] >= end)
        starts.append(first)
        ends.append(last)
    return encoded, torch.tensor(starts), torch.tensor(ends)


def inputs(encoded):
    return {name: encoded[name] for name in ["input_ids", "attention_mask", "token_type_ids"]}


config = BertConfig(
    vocab_size=len(vocabulary), hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
    max_position_embeddings=48, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)
model = BertForQuestionAnswering(config)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(1600):
    encoded, starts, ends = features([question(0) for _ in range(32)])
    loss = model(**inputs(encoded), start_positions=starts, end_positions=ends).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
model.eval()

rows = [question(i) for i in range(60)]
for row in rows[::3]:
    # Right answers that are wider than what the model has learnt, and two of them.
    text, start = row["answers"]["text"], row["answers"]["answer_start"]
    if text:
        row["answers"] = {"text": ["in " + text[0], "lives in " + text[0]], "answer_start": [start[0] - 3, start[0] - 9]}
encoded, starts, ends = features(rows)
with torch.no_grad():
    output = model(**inputs(encoded), start_positions=starts, end_positions=ends)
# transformers lets padding compete with tokens, so that its loss depends on how long rows are; here padding takes no part.
padding = (1 - encoded["attention_mask"]) * -1e30
loss = sum(
    torch.nn.functional.cross_entropy(logits + padding, target)
    for logits, target in [(output.start_logits, starts), (output.end_logits, ends)]
) / 2
windows = encoded["overflow_to_sample_mapping"].tolist()

predictions, margins = {}, {}
for i, row in enumerate(rows):
    null, spans = float("inf"), []
    for k in [k for k, owner in enumerate(windows) if owner == i]:
        s, e = output.start_logits[k].double().tolist(), output.end_logits[k].double().tolist()
        offsets, sequence = encoded["offset_mapping"][k].tolist(), encoded.sequence_ids(k)
        null = min(null, s[0] + e[0])
        for a in range(MAX_LENGTH):
            for b in range(a, min(a + MAX_ANSWER, MAX_LENGTH)):
                if sequence[a] == 1 and sequence[b] == 1:
                    spans.append((s[a] + e[b], row["context"][offsets[a][0] : offsets[b][1]]))
    score, text = max(spans, key=lambda span: span[0])
    predictions[row["id"]], margins[row["id"]] = text, null - score

examples = [
    SquadExample(row["id"], row["question"], row["context"], None, None, "",
                 answers=[{"text": t, "answer_start": s} for t, s in zip(row["answers"]["text"], row["answers"]["answer_start"])],
                 is_impossible=not row["answers"]["text"])
    for row in rows
]


def scored(threshold):
    given = {i: "" if margins[i] > threshold else text for i, text in predictions.items()}
    found = squad_evaluate(examples, given)
    return {name: found[name] for name in ["exact", "f1", "HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1"]}


best = squad_evaluate(examples, predictions, no_answer_probs=margins)


def threshold_cases():
    for size in [1, 5, 30, 30, 30]:
        ids = range(size)
        has_answer = {i: draw.random() < 0.6 for i in ids}
        margins = {i: draw.gauss(-2 if has_answer[i] else 2, 3) for i in ids}
        scores = {i: draw.choice([0.0, 0.5, 1.0]) if has_answer[i] else 0.0 for i in ids}
        score, threshold = find_best_thresh({i: "x" for i in ids}, scores, margins, has_answer)
        yield {
            "questions": [[margins[i], scores[i], 0 if has_answer[i] else 1] for i in ids],
            "score": score / 100,
            "threshold": threshold,
        }


model.save_pretrained(here / "model")
fast.save_pretrained(here / "model")
(here / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
reference = {
    "maxLength": MAX_LENGTH, "stride": STRIDE, "maxAnswerLength": MAX_ANSWER,
    "numWindows": len(windows), "targets": torch.stack([starts, ends], -1).flatten().tolist(), "loss": loss.item(),
    "predictions": predictions, "margins": margins, "scores": scored(0.0), "tuned": scored(best["best_f1_thresh"]),
    "bestThreshold": best["best_f1_thresh"], "bestF1": best["best_f1"], "thresholds": list(threshold_cases()),
}
(here / "reference.json").write_text(json.dumps(reference, separators=(",", ":")) + "\n")
print(output.loss.item(), reference["loss"], reference["scores"], reference["tuned"], reference["bestThreshold"], reference["bestF1"], len(windows))
