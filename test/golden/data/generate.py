"""Writes Parquet files with pyarrow and what pyarrow reads in them: python generate.py

Requirements: pyarrow 26.0.1
"""

import datetime
import decimal
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path(__file__).parent
expected = {}


def plain(value):
    """A value as JSON: integers beyond 2^53 as text, bytes as hexadecimal digits, times in ISO 8601."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else {"bigint": str(value)}
    if isinstance(value, float):
        return value
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, datetime.datetime):
        return {"time": value.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"}
    if isinstance(value, datetime.date):
        return {"time": value.isoformat() + "T00:00:00.000Z"}
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(item) for item in value]


def write(name, table, features=None, **options):
    if features is not None:
        note = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": note})
    pq.write_table(table, FOLDER / name, **options)
    expected[name] = [plain(row) for row in pq.read_table(FOLDER / name).to_pylist()]


text = {"dtype": "string", "_type": "Value"}
texts = ["A fine film", "", "Dull 😀, very", None, "ünïcödé", "A fine film", "A fine film"]
write(
    "texts_snappy.parquet",
    pa.table({
        "text": pa.array(texts),
        "label": pa.array([1, 0, 0, 1, None, 1, 1], pa.int64()),
        "id": pa.array([0, -1, 2**53 - 1, 2**53, -(2**63), 2**63 - 1, 7], pa.int64()),
    }),
    {"text": text, "label": {"names": ["negative", "positive"], "_type": "ClassLabel"}, "id": text},
    compression="snappy",
    row_group_size=3,
)

tokens = [["EU", "rejects", "a", "call"], [], ["Peter"], None, ["BRUSSELS", None, "1996-08-22"], ["O"] * 40]
write(
    "tokens_gzip.parquet",
    pa.table({
        "tokens": pa.array(tokens, pa.list_(pa.string())),
        "ner_tags": pa.array([[3, 0, 0, 0], [], [1], None, [5, 0, 0], [0] * 40], pa.list_(pa.int64())),
        "old_tags": pa.array([[0]] * 6, pa.list_(pa.int8())),
    }),
    {
        "tokens": {"feature": text, "_type": "Sequence"},
        "ner_tags": {
            "feature": {"names": ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC"], "_type": "ClassLabel"},
            "_type": "List",
        },
        "old_tags": [{"names": ["X", "Y"], "_type": "ClassLabel"}],
    },
    compression="gzip",
)

context = "The 😀 cost 308 points; 😀😀 was 12."
answers = [
    {"text": ["308", "308 points"], "answer_start": [context.index("308")] * 2},
    {"text": [], "answer_start": []},
    {"text": ["12"], "answer_start": [context.index("12")]},
]
write(
    "questions_zstd.parquet",
    pa.table({
        "id": ["q1", "q2", "q3"],
        "question": ["How much?", "Who?", "Which?"],
        "context": [context] * 3,
        "answers": pa.array(
            answers,
            pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))]),
        ),
    }),
    compression="zstd",
)

day = datetime.date(2024, 2, 29)
time = datetime.datetime(2024, 2, 29, 23, 59, 58, 123000)
write(
    "types_plain.parquet",
    pa.table({
        "bool": pa.array([True, None, False]),
        "int8": pa.array([-128, None, 127], pa.int8()),
        "uint8": pa.array([0, None, 255], pa.uint8()),
        "int16": pa.array([-(2**15), None, 2**15 - 1], pa.int16()),
        "uint32": pa.array([0, None, 2**32 - 1], pa.uint32()),
        "uint64": pa.array([0, None, 2**64 - 1], pa.uint64()),
        "float": pa.array([0.1, None, -3.5], pa.float32()),
        "half": pa.array([0.5, None, 65504.0], pa.float16()),
        "double": pa.array([0.1, None, 1e300], pa.float64()),
        "date": pa.array([day, None, day], pa.date32()),
        "milli": pa.array([time, None, time], pa.timestamp("ms")),
        "micro": pa.array([time, None, time], pa.timestamp("us", tz="UTC")),
        "decimal": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-99.50")], pa.decimal128(5, 2)),
        "bytes": pa.array([b"\xff\x00", None, b""], pa.binary()),
        "large": pa.array(["a", None, "b"], pa.large_string()),
        "category": pa.array(["x", None, "x"]).dictionary_encode(),
        "nothing": pa.nulls(3),
        "deep": pa.array([[[1, 2], []], None, [None, [3]]], pa.list_(pa.list_(pa.int32()))),
        "structs": pa.array([[{"a": 1, "b": "x"}], [], [{"a": None, "b": None}, {"a": 2, "b": "y"}]]),
        "required": pa.array([1, 2, 3]),
    }, schema=None).cast(
        pa.schema([
            ("bool", pa.bool_()), ("int8", pa.int8()), ("uint8", pa.uint8()), ("int16", pa.int16()),
            ("uint32", pa.uint32()), ("uint64", pa.uint64()), ("float", pa.float32()), ("half", pa.float16()),
            ("double", pa.float64()), ("date", pa.date32()), ("milli", pa.timestamp("ms")),
            ("micro", pa.timestamp("us", tz="UTC")), ("decimal", pa.decimal128(5, 2)), ("bytes", pa.binary()),
            ("large", pa.large_string()), ("category", pa.dictionary(pa.int32(), pa.string())),
            ("nothing", pa.null()), ("deep", pa.list_(pa.list_(pa.int32()))),
            ("structs", pa.list_(pa.struct([("a", pa.int64()), ("b", pa.string())]))),
            pa.field("required", pa.int64(), nullable=False),
        ])
    ),
    compression="none",
    write_page_checksum=True,
)

# Pages of the second form, several of them in a column, and encodings beside plain and dictionary ones.
count = 2000
write(
    "encodings_brotli.parquet",
    pa.table({
        "delta32": pa.array([i * i % 1000 - 500 for i in range(count)], pa.int32()),
        "delta64": pa.array([i * 10**10 for i in range(count)], pa.int64()),
        "length": pa.array([None if i % 7 == 0 else "ab" * (i % 5) for i in range(count)]),
        "split": pa.array([i / 8 for i in range(count)], pa.float32()),
        "words": pa.array([["w%d" % (j % 3) for j in range(i % 4)] for i in range(count)]),
        "flag": pa.array([i % 3 == 0 for i in range(count)]),
    }),
    compression="brotli",
    data_page_version="2.0",
    data_page_size=1024,
    use_dictionary=["words.list.element"],
    column_encoding={
        "delta32": "DELTA_BINARY_PACKED",
        "delta64": "DELTA_BINARY_PACKED",
        "length": "DELTA_LENGTH_BYTE_ARRAY",
        "split": "BYTE_STREAM_SPLIT",
        "flag": "RLE",
    },
)
write(
    "dictionary_lz4.parquet",
    pa.table({"word": pa.array(["word %d" % (i * i % 50) for i in range(3000)])}),
    compression="lz4",
    data_page_size=512,
)

# Pages whose levels and numbers can be altered: neither compressed nor with checksums.
nested = pa.table({
    "word": pa.array(["a", "b", None, "a", "a", "c"] * 5),
    "list": pa.array([["x", "y"], [], None, [None, "x"], ["y"], ["z"] * 9] * 5),
    "deep": pa.array([[[1, 2], []], None, [None, [3]], [[]], [], [[4] * 10]] * 5, pa.list_(pa.list_(pa.int32()))),
    "struct": pa.array([{"a": 1, "b": ["p"]}, {"a": None, "b": []}, None] * 10),
})
for version in ["1.0", "2.0"]:
    write(f"nested_v{version[0]}.parquet", nested, compression="none", data_page_version=version, write_statistics=False)

# A few bytes that say a lot.
write("bomb.parquet", pa.table({"list": pa.array([[]] * 3_000_000, pa.list_(pa.int32()))}), compression="zstd")
expected.pop("bomb.parquet")

for name in ["encodings_brotli.parquet", "dictionary_lz4.parquet"]:
    # Long ones: by a sum that a reader can form, and a few rows.
    rows = expected[name]
    expected[name] = {"numRows": len(rows), "some": {str(i): rows[i] for i in range(0, len(rows), 97)}}
(FOLDER / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
