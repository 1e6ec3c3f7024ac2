"""Prints 50 texts and the vectors that sentence-transformers gives them, as JSON."""

import json
import sys

from sentence_transformers import SentenceTransformer

SUBJECTS = ["The cat", "A doctor from Zürich", "Nobody", "She", "The committee's chair", "日本語", "Émile", "An e-mail", "It", "👩‍🔬"]
REST = [
    "sleeps.",
    "was asked, twice, whether the results (of 2019) hold up; they don't.",
    "can't come — call +41 44 123 45 67 instead!",
    "",
    "is " + "very " * 300 + "long.",
]

texts = [f"{subject} {rest}" for subject in SUBJECTS for rest in REST]
vectors = SentenceTransformer(sys.argv[1], device="cpu").encode(texts, normalize_embeddings=True)
json.dump([{"text": text, "vector": vector.tolist()} for text, vector in zip(texts, vectors)], sys.stdout)
