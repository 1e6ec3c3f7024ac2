"""Predictions of PyTorch and PEFT: python predict.py JOB.json [TEXT] prints the probabilities of the text, or of each test text."""

import json
import sys

from peer import open_job, open_model, predict

job = open_job(sys.argv[1])
texts = sys.argv[2:] or job.test["texts"]
logits = predict(open_model(job, is_trainable=False), job, job.tokens_of(texts))
print(json.dumps(logits.softmax(-1).tolist()))
