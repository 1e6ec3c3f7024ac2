"""Small sentence encoders of each family, as sentence-transformers saves them: python make.py FOLDER [MODEL]

FOLDER/NAME/base   encoder, tokenizer, 1_Pooling and modules.json; NAME is that of the family and how it pools

MODEL is the folder of a real sentence encoder, which is copied to FOLDER/real/base.
"""

import shutil
import sys
import warnings
from pathlib import Path

import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

WORDS = "[CLS] [PAD] [SEP] [UNK] [MASK] the parcel came broken and nobody answers would order again quick ##ly , .".split()
SIZES = {"vocab_size": len(WORDS), "max_position_embeddings": 24, "pad_token_id": 1}
BERT = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 19, **SIZES}
DISTILBERT = {"dim": 12, "n_layers": 2, "n_heads": 3, "hidden_dim": 19, **SIZES}
DEBERTA = {**BERT, "relative_attention": True, "pos_att_type": "c2p|p2c", "position_buckets": 4, "share_att_key": True}
MODELS = {
    "bert": transformers.BertModel(transformers.BertConfig(**BERT)),
    "distilbert": transformers.DistilBertModel(transformers.DistilBertConfig(**DISTILBERT)),
    "roberta": transformers.RobertaModel(transformers.RobertaConfig(**BERT, type_vocab_size=1)),
    "xlm-roberta": transformers.XLMRobertaModel(transformers.XLMRobertaConfig(**BERT, type_vocab_size=1)),
    "electra": transformers.ElectraModel(transformers.ElectraConfig(**BERT, embedding_size=10)),
    "deberta-v2": transformers.DebertaV2Model(transformers.DebertaV2Config(**DEBERTA)),
}


def tokenizer():
    words = {word: i for i, word in enumerate(WORDS)}
    made = Tokenizer(WordPiece(words, unk_token="[UNK]"))
    made.normalizer = BertNormalizer(lowercase=True)
    made.pre_tokenizer = BertPreTokenizer()
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(each, words[each]) for each in ("[CLS]", "[SEP]")],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_input_names=["input_ids", "attention_mask"],
    )


def draw(model, seed):
    """Numbers of order 1 for every parameter, matrices so that they keep a vector's length."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim == 2 and "embeddings" not in name:
            noise /= parameter.shape[1] ** 0.5
        elif parameter.ndim == 1:
            noise = 0.2 * noise + (1.0 if name.lower().endswith("norm.weight") else 0.0)
        parameter.data = noise
    return model.eval()


folder = Path(sys.argv[1])
for seed, (name, model) in enumerate(MODELS.items()):
    scratch = folder / "scratch"
    draw(model, seed).save_pretrained(scratch)
    tokenizer().save_pretrained(scratch)
    for mode in ("mean", "cls"):
        modules = [Transformer(str(scratch)), Pooling(12, mode), Normalize()]
        SentenceTransformer(modules=modules).save(str(folder / f"{name}_{mode}" / "base"))
    shutil.rmtree(scratch)
for real in sys.argv[2:]:
    shutil.copytree(real, folder / "real" / "base", dirs_exist_ok=True)
