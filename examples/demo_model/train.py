"""Trains the demo model: a Llama of about 9 M parameters, on samples that worker processes write while it trains.

    python train.py --make-tokenizer tokenizer/tokenizer.json      once, on any machine
    python train.py --seconds 560 --out /tmp/out                   on one GPU, inside a wall-clock budget
    torchrun --nproc-per-node 2 train.py --seconds 560 --out ...    on two
    python train.py --init checkpoint --out ...                     further, from a checkpoint with as many layers or fewer
    python train.py --device cpu --seconds 60 --tiny --out /tmp/x  a smoke test

The learning rate falls to zero over the budget, so a run always ends trained. The checkpoint is a transformers
LlamaForCausalLM folder in fp16. One layer is compiled, once for all of them, so that the first step comes soon.
"""

from __future__ import annotations

import argparse
import bisect
import json
import math
import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
STARTED = time.monotonic()
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import multiprocessing as mp  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from evaluate import failures, items, reading, table  # noqa: E402
from generate import RATES, Sample, encode, pair, training  # noqa: E402

TASKS = [*RATES]
TOKENIZER = HERE / "tokenizer" / "tokenizer.json"
SPECIAL = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
EOS = 4
CHAT_TEMPLATE = (
    "{{ '<|begin_of_text|>' }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
SHORT, LONG = 2048, 4096


# tokenizer


def make_tokenizer(path: Path, samples: int = 40_000, vocabulary: int = 4096, seed: int = 5) -> None:
    """Trains a byte-level BPE on generated samples, digits one by one."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    generator = training(random.Random(seed))
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[*SPECIAL], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )

    def texts() -> Iterator[str]:
        for _ in range(samples):
            prompt, reply = pair(generator.sample())
            for part in prompt.split("<|end_header_id|>")[1:]:
                yield part.split("<|eot_id|>")[0]
            yield reply
            yield from ("system", "user", "assistant")

    tokenizer.train_from_iterator(texts(), trainer)
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))


# data


def pack(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Best-fit packing of whole samples into rows: lists of indices."""
    spaces: list[tuple[int, int]] = []  # (free space, row), sorted
    rows: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda at: -lengths[at]):
        at = bisect.bisect_left(spaces, (lengths[index], -1))
        if at < len(spaces):
            free, row = spaces.pop(at)
        else:
            free, row = room, len(rows)
            rows.append([])
        rows[row].append(index)
        bisect.insort(spaces, (free - lengths[index], row))
    return rows


def shard(samples: Sequence[tuple[list[int], list[int], int]], room: int) -> np.ndarray:
    """Packed rows as uint16 [rows, 3, room]: token, document number from 1 (0 is padding), and where a loss is due
    the task number from 1 plus eight times the length of the reply."""
    packed = pack([len(ids) for ids, _, _ in samples], room)
    out = np.zeros((len(packed), 3, room), np.uint16)
    for row, members in enumerate(packed):
        at = 0
        for number, index in enumerate(members, 1):
            ids, mask, task = samples[index]
            end = at + len(ids)
            out[row, 0, at:end] = ids
            out[row, 1, at:end] = number
            out[row, 2, at:end] = np.asarray(mask, np.uint16) * (task + 1 + 8 * sum(mask))
            at = end
    return out


def work(number: int, seed: int, tokenizer: str, folder: str, chunk: int, limit_bytes: int, broken: float, aligned: Path | None) -> None:
    """A worker: draws, encodes, packs and writes shards until it is ended. ``broken`` is the share of prompts in which words are cut
    into other pieces than usual (BPE dropout), so that the model learns words and not only their usual pieces."""
    from tokenizers import Tokenizer

    os.nice(5)
    encoder, breaker = Tokenizer.from_file(tokenizer), Tokenizer.from_file(tokenizer)
    breaker.model.dropout = 0.1
    generator = training(random.Random(f"{seed}-{number}"), aligned=aligned)
    done, written = 0, 0
    longs: list[tuple[list[int], list[int], int]] = []
    size = max(64, chunk // 8)
    while written < limit_bytes and os.getppid() > 1:
        shorts = []
        for _ in range(size):
            made = generator.sample()
            ids, mask = encode(made, encoder, breaker if generator.rng.random() < broken else encoder)
            if len(ids) <= LONG:
                (shorts if len(ids) <= SHORT and generator.rng.random() > 0.10 else longs).append((ids, mask, TASKS.index(made.task)))
        for room, group in ((SHORT, shorts), (LONG, longs)):
            if group and (room == SHORT or sum(len(ids) for ids, _, _ in group) > 40 * LONG):
                rows = shard(group, room)
                group.clear()
                path = Path(folder) / f"{room}-{number:02d}-{done:05d}.npy"
                np.save(path.with_suffix(".tmp.npy"), rows)
                path.with_suffix(".tmp.npy").rename(path)
                written += rows.nbytes
                done += 1
        size = chunk


class Pool:
    """The rows written so far; fresh ones are drawn first, then used ones again."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = random.Random(seed)
        self.seen: set[str] = set()
        self.rows: dict[int, list[np.ndarray]] = {SHORT: [], LONG: []}
        self.fresh: dict[int, list[int]] = {SHORT: [], LONG: []}
        self.reused = 0
        self.drawn = 0

    def refresh(self) -> None:
        """Take in new shards."""
        for path in sorted(self.folder.glob("*.npy")):
            if path.name in self.seen or path.name.endswith(".tmp.npy"):
                continue
            self.seen.add(path.name)
            room = int(path.name.split("-")[0])
            first = len(self.rows[room])
            self.rows[room].extend(np.load(path))
            path.unlink()
            self.fresh[room].extend(range(first, len(self.rows[room])))

    def draw(self, room: int, count: int) -> np.ndarray:
        """``count`` rows."""
        fresh = self.fresh[room]
        chosen = []
        for _ in range(min(count, len(fresh))):
            at = self.rng.randrange(len(fresh))
            fresh[at], fresh[-1] = fresh[-1], fresh[at]
            chosen.append(fresh.pop())
        self.reused += count - len(chosen)
        self.drawn += count
        chosen += [self.rng.randrange(len(self.rows[room])) for _ in range(count - len(chosen))]
        return np.stack([self.rows[room][at] for at in chosen])


# model


@dataclass
class Config:
    """The shape of the model, under transformers' names."""

    vocab_size: int = 4096
    hidden_size: int = 256
    intermediate_size: int = 704
    num_hidden_layers: int = 11
    num_attention_heads: int = 8
    max_position_embeddings: int = LONG
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10_000.0

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads


Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class Norm(nn.Module):
    """RMSNorm."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)).to(x.dtype) * self.weight.to(x.dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding, halves as in transformers."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Layer(nn.Module):
    """One transformer block. ``attend`` maps query, key and value (batch, length, head, size) to the attention's output."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads, self.head_dim = config.num_attention_heads, config.head_dim
        self.input_layernorm = Norm(size, config.rms_norm_eps)
        self.post_attention_layernorm = Norm(size, config.rms_norm_eps)
        self.qkv = nn.Linear(size, 3 * size, bias=False)
        self.o_proj = nn.Linear(size, size, bias=False)
        self.gate_up = nn.Linear(size, 2 * config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, size, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
        batch, length, size = x.shape
        q, k, v = self.qkv(self.input_layernorm(x)).view(batch, length, 3, self.heads, self.head_dim).unbind(2)
        out = attend(rotate(q, cos, sin), rotate(k, cos, sin), v)
        x = x + self.o_proj(out.reshape(batch, length, size))
        gate, up = self.gate_up(self.post_attention_layernorm(x)).chunk(2, -1)
        return x + self.down_proj(F.silu(gate) * up)


class Llama(nn.Module):
    """Llama with tied embeddings; ``forward`` gives the last hidden states."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = Norm(config.hidden_size, config.rms_norm_eps)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                scale = 1 / math.sqrt(2 * config.num_hidden_layers) if "o_proj" in name or "down_proj" in name else 1.0
                nn.init.normal_(weight, std=0.02 * scale)

    def angles(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """cos and sin of the rotary embedding at ``positions``, for every head alike."""
        half = self.config.head_dim // 2
        steps = torch.arange(half, device=positions.device, dtype=torch.float32) / half
        angle = positions.float()[..., None] * self.config.rope_theta**-steps
        angle = torch.cat((angle, angle), -1)[..., None, :]
        return angle.cos().to(dtype), angle.sin().to(dtype)

    def forward(self, ids: Tensor, positions: Tensor, through: Callable[[int, Layer, Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """``through`` takes the number of a layer, the layer, its input, cos and sin, and gives its output."""
        x = self.embed(ids)
        if torch.is_autocast_enabled(ids.device.type):
            x = x.to(torch.get_autocast_dtype(ids.device.type))
        cos, sin = self.angles(positions, x.dtype)
        for number, layer in enumerate(self.layers):
            x = through(number, layer, x, cos, sin)
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary."""
        return F.linear(hidden, self.embed.weight.to(hidden.dtype))

    def exported(self) -> dict[str, Tensor]:
        """The weights under transformers' names, in fp16."""
        out = {"model.embed_tokens.weight": self.embed.weight, "model.norm.weight": self.norm.weight}
        for number, layer in enumerate(self.layers):
            head = f"model.layers.{number}."
            for name, part in zip("qkv", layer.qkv.weight.chunk(3), strict=True):
                out[f"{head}self_attn.{name}_proj.weight"] = part
            out[f"{head}self_attn.o_proj.weight"] = layer.o_proj.weight
            for name, part in zip(("gate", "up"), layer.gate_up.weight.chunk(2), strict=True):
                out[f"{head}mlp.{name}_proj.weight"] = part
            out[f"{head}mlp.down_proj.weight"] = layer.down_proj.weight
            out[f"{head}input_layernorm.weight"] = layer.input_layernorm.weight
            out[f"{head}post_attention_layernorm.weight"] = layer.post_attention_layernorm.weight
        return {name: part.detach().to("cpu", torch.float16).contiguous() for name, part in out.items()}


def load(model: Llama, folder: Path) -> None:
    """Takes the weights of a checkpoint. A model with more layers gets the new ones in the middle, where they change nothing yet."""
    from safetensors.torch import load_file

    parts = {name: part.float() for path in sorted(folder.glob("*.safetensors")) for name, part in load_file(path).items()}
    old = 1 + max(int(name.split(".")[2]) for name in parts if name.startswith("model.layers."))
    new = model.config.num_hidden_layers - old
    places = [*range(old // 2), *range(old // 2 + new, old + new)]
    with torch.no_grad():
        model.embed.weight.copy_(parts["model.embed_tokens.weight"])
        model.norm.weight.copy_(parts["model.norm.weight"])
        for layer in model.layers[old // 2 : old // 2 + new]:
            layer.o_proj.weight.zero_()
            layer.down_proj.weight.zero_()
        for number, place in enumerate(places):
            layer, head = model.layers[place], f"model.layers.{number}."
            layer.qkv.weight.copy_(torch.cat([parts[f"{head}self_attn.{name}_proj.weight"] for name in "qkv"]))
            layer.o_proj.weight.copy_(parts[f"{head}self_attn.o_proj.weight"])
            layer.gate_up.weight.copy_(torch.cat([parts[f"{head}mlp.{name}_proj.weight"] for name in ("gate", "up")]))
            layer.down_proj.weight.copy_(parts[f"{head}mlp.down_proj.weight"])
            layer.input_layernorm.weight.copy_(parts[f"{head}input_layernorm.weight"])
            layer.post_attention_layernorm.weight.copy_(parts[f"{head}post_attention_layernorm.weight"])


# attention inside each document of a packed row; each prepares a batch once and makes the layers' function


def plain_layer(layer: Layer, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """A layer with causal attention over the whole row."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)

    return layer(x, cos, sin, attend)


class Varlen:
    """By FlashAttention over the documents laid end to end."""

    def __init__(self) -> None:
        import inspect

        from torch.nn.attention.varlen import varlen_attn

        causal = {"window_size": (-1, 0)} if "window_size" in inspect.signature(varlen_attn).parameters else {"is_causal": True}

        def layer_of(layer: Layer, x: Tensor, cos: Tensor, sin: Tensor, ends: Tensor, longest: int) -> Tensor:
            def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                flat = [part.reshape(-1, *part.shape[2:]) for part in (q, k, v)]
                return varlen_attn(*flat, ends, ends, longest, longest, **causal).view(q.shape)

            return layer(x, cos, sin, attend)

        self.layer = torch.compile(layer_of, dynamic=False)

    def prepare(self, documents: Tensor) -> Tensor:
        """Where each document of the batch begins, and the end; as many numbers for every batch of a shape."""
        batch, length = documents.shape
        first = torch.ones_like(documents, dtype=torch.bool)
        first[:, 1:] = documents[:, 1:] != documents[:, :-1]
        starts = first.view(-1).nonzero()[:, 0].to(torch.int32)
        room = -(-len(starts) // 512) * 512
        return F.pad(starts, (0, room + 1 - len(starts)), value=batch * length)

    def through(self, ready: Tensor, length: int) -> Callable[..., Tensor]:
        """The layers' function for a prepared batch."""
        return lambda number, layer, x, cos, sin: self.layer(layer, x, cos, sin, ready, length)


class Flex:
    """By flex_attention with a block mask."""

    def __init__(self) -> None:
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        self.make = torch.compile(create_block_mask, dynamic=False)

        def layer_of(layer: Layer, x: Tensor, cos: Tensor, sin: Tensor, mask: Any) -> Tensor:
            def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                q, k, v = (part.transpose(1, 2) for part in (q, k, v))
                return flex_attention(q, k, v, block_mask=mask).transpose(1, 2)

            return layer(x, cos, sin, attend)

        self.layer = torch.compile(layer_of, dynamic=False)

    def prepare(self, documents: Tensor) -> Any:
        """The block mask of a batch of rows."""
        batch, length = documents.shape

        def same(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
            return (q >= k) & (documents[b, q] == documents[b, k])

        return self.make(same, batch, None, length, length, device=documents.device.type)

    def through(self, ready: Any, length: int) -> Callable[..., Tensor]:
        """The layers' function for a prepared batch."""
        return lambda number, layer, x, cos, sin: self.layer(layer, x, cos, sin, ready)


class Plain:
    """Causal attention over the row, whatever documents it holds; for CPUs and where nothing better compiles."""

    def prepare(self, documents: Tensor) -> None:
        """Nothing to do."""

    def through(self, ready: None, length: int) -> Callable[..., Tensor]:
        """The layers' function."""
        return lambda number, layer, x, cos, sin: plain_layer(layer, x, cos, sin)


ATTENTION = {"varlen": Varlen, "flex": Flex, "causal": Plain}


def save(model: Llama, out: Path, tokenizer: Path, shard_mb: int) -> None:
    """Writes a transformers checkpoint."""
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    config = asdict(model.config)
    config |= {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_key_value_heads": model.config.num_attention_heads,
        "head_dim": model.config.head_dim, "hidden_act": "silu", "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
        "bos_token_id": 0, "eos_token_id": EOS, "pad_token_id": 1, "torch_dtype": "float16", "use_cache": True, "initializer_range": 0.02,
        "attention_dropout": 0.0,
    }  # fmt: skip
    files = {
        "config.json": config,
        "generation_config.json": {"bos_token_id": 0, "eos_token_id": EOS, "pad_token_id": 1, "do_sample": False},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": SPECIAL[0], "eos_token": SPECIAL[EOS], "pad_token": SPECIAL[1],
            "model_max_length": LONG, "clean_up_tokenization_spaces": False, "add_bos_token": False, "chat_template": CHAT_TEMPLATE,
        },
    }  # fmt: skip
    for name, content in files.items():
        (out / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
    (out / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    shutil.copyfile(tokenizer, out / "tokenizer.json")
    weights = model.exported()
    groups: list[dict[str, Tensor]] = [{}]
    for name, weight in weights.items():
        if sum(part.nbytes for part in groups[-1].values()) + weight.nbytes > shard_mb * 2**20:
            groups.append({})
        groups[-1][name] = weight
    if len(groups) == 1:
        save_file(weights, out / "model.safetensors", {"format": "pt"})
        return
    index: dict[str, str] = {}
    for number, group in enumerate(groups, 1):
        name = f"model-{number:05d}-of-{len(groups):05d}.safetensors"
        save_file(group, out / name, {"format": "pt"})
        index |= dict.fromkeys(group, name)
    total = sum(weight.nbytes for weight in weights.values())
    (out / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": index}), encoding="utf-8"
    )


# evaluation on the training machine


@torch.no_grad()
def generate(model: Llama, prompts: Sequence[Sequence[int]], limit: int, device: str, deadline: float) -> list[list[int]]:
    """Greedy continuation of a batch, left-padded, with a key-value cache."""
    config = model.config
    batch, width = len(prompts), max(map(len, prompts))
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    ids = torch.full((batch, width), 1, device=device)
    seen = torch.zeros((batch, width + limit), dtype=torch.bool, device=device)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt, device=device)
        seen[row, width - len(prompt) :] = True
    offsets = torch.tensor([width - len(prompt) for prompt in prompts], device=device)
    shape = (config.num_hidden_layers, batch, config.num_attention_heads, width + limit, config.head_dim)
    keys, values = (torch.zeros(shape, dtype=dtype, device=device) for _ in range(2))
    start, out, alive = 0, [], torch.ones(batch, dtype=torch.bool, device=device)
    while True:
        end = start + ids.shape[1]
        columns = torch.arange(end, device=device)
        mask = seen[:, None, None, :end] & (columns[None, :] <= torch.arange(start, end, device=device)[:, None])[None, None]
        mask = mask | torch.eye(end, dtype=torch.bool, device=device)[start:][None, None]  # a padded query must see something

        def through(number: int, layer: Layer, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
            def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                q, k, v = (part.transpose(1, 2).to(dtype) for part in (q, k, v))
                keys[number, :, :, start:end], values[number, :, :, start:end] = k, v  # noqa: B023
                kept = keys[number, :, :, :end], values[number, :, :, :end]  # noqa: B023
                return F.scaled_dot_product_attention(q, *kept, attn_mask=mask).transpose(1, 2)  # noqa: B023

            return layer(x, cos, sin, attend)

        positions = (torch.arange(start, end, device=device)[None] - offsets[:, None]).clamp(min=0)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            best = model.logits(model(ids, positions, through)[:, -1]).argmax(-1)
        out.append(torch.where(alive, best, EOS))
        alive = alive & (best != EOS)
        start = end
        if len(out) >= limit or not alive.any() or time.monotonic() > deadline:
            break
        ids = best[:, None]
    rows = torch.stack(out, 1).tolist()
    return [row[: row.index(EOS)] if EOS in row else row for row in rows]


def evaluation(
    model: Llama, tokenizer: Path, count: int, device: str, deadline: float, batch: int = 256
) -> dict[str, list[tuple[Sample, Any]]]:
    """Greedy, unguided results on sets A and B, shortest prompts first; stops at the deadline."""
    from tokenizers import Tokenizer

    model.eval()
    encoder = Tokenizer.from_file(str(tokenizer))
    results: dict[str, list[tuple[Sample, Any]]] = {}
    for name in ("B", "A"):
        todo = items(name, count)
        ready = [(encoder.encode(pair(item)[0], add_special_tokens=False).ids, item) for item in todo]
        ready = [(ids, item) for ids, item in ready if len(ids) < 1400]
        random.Random(0).shuffle(ready)
        chunks = [sorted(ready[at : at + 4 * batch], key=lambda row: len(row[0])) for at in range(0, len(ready), 4 * batch)]
        for chunk in chunks:
            for at in range(0, len(chunk), batch):
                if time.monotonic() > deadline - 2:
                    break
                group = chunk[at : at + batch]
                longest = max(len(encoder.encode(item.reply, add_special_tokens=False).ids) for _, item in group)
                replies = generate(model, [ids for ids, _ in group], min(700, int(longest * 1.2) + 8), device, deadline)
                done = results.setdefault(name, [])
                done.extend((item, reading(item, encoder.decode(reply))) for (_, item), reply in zip(group, replies, strict=True))
    return results


# training


class Ranks:
    """The processes that train together, one a GPU (torchrun starts them). Alone, it changes nothing."""

    def __init__(self, device: str) -> None:
        self.count, self.number = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
        self.device = device
        self.use_device()
        if self.count > 1:
            torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")

    def use_device(self) -> None:
        """Make this process's GPU the current one, in the calling thread."""
        if self.device == "cuda":
            torch.cuda.set_device(self.number)

    def average(self, model: nn.Module) -> None:
        """Average the gradients over the processes."""
        if self.count > 1:
            gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
            flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
            torch.distributed.all_reduce(flat)
            flat /= self.count
            for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
                gradient.copy_(part.view_as(gradient))

    def agree(self, value: float) -> float:
        """The first process's value, in all of them."""
        if self.count == 1:
            return value
        shared = torch.tensor([value], device=self.device)
        torch.distributed.broadcast(shared, 0)
        return float(shared)


def batches(pool: Pool, tokens: int, share: float, queue: Queue[Any], stop: threading.Event, ranks: Ranks) -> None:
    """A thread: refreshes the pool and keeps a few batches ready, as (room, tensors, loss positions)."""
    device = ranks.device
    ranks.use_device()
    rng = random.Random(1)
    last = 0.0
    while not stop.is_set():
        if time.monotonic() - last > 2:
            pool.refresh()
            last = time.monotonic()
        room = LONG if pool.rows[LONG] and rng.random() < share else SHORT
        rows = pool.draw(room, max(1, tokens // room))
        ids, documents, tasks = (torch.from_numpy(rows[:, part].astype(np.int64)) for part in range(3))
        marks = F.pad(tasks[:, 1:], (0, 1)).reshape(-1)
        places = marks.nonzero()[:, 0]
        wanted, marks = F.pad(ids[:, 1:], (0, 1)).reshape(-1)[places], marks[places]
        weight = (marks // 8).float().rsqrt()  # a long reply counts for more than a short one, but not in proportion
        parts = [ids, documents.to(torch.int32), places, wanted, marks % 8 - 1, weight / weight.sum()]
        if device == "cuda":
            parts = [part.pin_memory() for part in parts]
        while not stop.is_set():
            try:
                queue.put((room, parts, pool.reused / max(1, pool.drawn)), timeout=0.5)
                break
            except Exception:  # full: look at stop again
                continue


class Muon:
    """Momentum whose update is made orthogonal, for the hidden matrices; those of one shape in one batch.

    A fused matrix (query, key, value; gate, up) counts as its parts. The update has the size of AdamW's, so both take one rate.
    """

    def __init__(self, layers: Sequence[Layer], weight_decay: float, momentum: float = 0.95) -> None:
        self.weight_decay, self.momentum = weight_decay, momentum
        self.groups = [
            ([weight for layer in layers for weight in (layer.qkv.weight, layer.o_proj.weight)], layers[0].o_proj.weight.shape),
            ([layer.gate_up.weight for layer in layers], (layers[0].down_proj.weight.shape[1], layers[0].down_proj.weight.shape[0])),
            ([layer.down_proj.weight for layer in layers], layers[0].down_proj.weight.shape),
        ]
        self.buffers: list[Tensor | None] = [None] * len(self.groups)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update the weights from their gradients."""
        for number, (weights, shape) in enumerate(self.groups):
            gradient = torch.cat([weight.grad.view(-1, *shape) for weight in weights if weight.grad is not None])
            kept = self.buffers[number]
            if kept is None:
                kept = self.buffers[number] = torch.zeros_like(gradient)
            kept.lerp_(gradient, 1 - self.momentum)
            update = orthogonal(gradient.lerp(kept, self.momentum)) * (0.2 * max(shape) ** 0.5 * rate)
            parts = update.split([weight.numel() // (shape[0] * shape[1]) for weight in weights])
            torch._foreach_mul_(weights, 1 - rate * self.weight_decay)
            torch._foreach_sub_(weights, [part.reshape(weight.shape) for part, weight in zip(parts, weights, strict=True)])


def orthogonal(x: Tensor) -> Tensor:
    """The nearest orthogonal matrices, about, by five Newton-Schulz steps in bf16 (the coefficients are Keller Jordan's)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = x.shape[-2] > x.shape[-1]
    y = (x.mT if tall else x).bfloat16()
    y = y / (y.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        square = y @ y.mT
        y = a * y + (b * square + c * square @ square) @ y
    return (y.mT if tall else y).float()


class Optimizer:
    """AdamW for all, or Muon for the hidden matrices and AdamW for the embedding and the norms."""

    def __init__(self, model: Llama, name: str, weight_decay: float, device: str) -> None:
        matrices = [weight for key, weight in model.named_parameters() if weight.dim() == 2 and "embed" not in key]
        others = [weight for key, weight in model.named_parameters() if weight.dim() != 2 or "embed" in key]
        groups = [{"params": others, "weight_decay": 0.0}]
        if name == "adamw":
            groups.append({"params": matrices, "weight_decay": weight_decay})
        self.muon = Muon([*model.layers], weight_decay) if name == "muon" else None  # type: ignore[misc]
        self.adamw = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), eps=1e-8, fused=device == "cuda")

    def step(self, rate: float) -> None:
        """Update the weights from their gradients, at this rate."""
        for group in self.adamw.param_groups:
            group["lr"] = rate
        self.adamw.step()
        if self.muon is not None:
            self.muon.step(rate)


def train(args: argparse.Namespace) -> None:
    """The whole run: workers, training, checkpoint, quick evaluation."""
    device = args.device
    ranks = Ranks(device)
    out: Path = args.out
    out.mkdir(parents=True, exist_ok=True)
    folder = Path(args.shards) / str(ranks.number)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if not args.tokenizer.exists():
        make_tokenizer(args.tokenizer)
    context = mp.get_context("spawn")
    limit = int(args.pool_gb * 2**30 / args.workers)
    workers = [
        context.Process(
            target=work,
            args=(number, args.seed + 1000 * ranks.number, str(args.tokenizer), str(folder), args.chunk, limit, args.broken, args.aligned),
            daemon=True,
        )
        for number in range(args.workers)
    ]
    for worker in workers:
        worker.start()
    log = (out / "log.jsonl" if ranks.number == 0 else Path(os.devnull)).open("w", encoding="utf-8", buffering=1)

    def note(**row: Any) -> None:
        line = json.dumps({"elapsed": round(time.monotonic() - STARTED, 1)} | row)
        log.write(line + "\n")
        if ranks.number == 0:
            print(line, flush=True)

    torch.manual_seed(args.seed)
    torch.set_float32_matmul_precision("high")
    config = (
        Config(num_hidden_layers=2, hidden_size=64, intermediate_size=128, num_attention_heads=2)
        if args.tiny
        else Config(rope_theta=args.rope_theta)
    )
    model = Llama(config)
    if args.init:
        load(model, args.init)
    model.to(device)
    optimizer = Optimizer(model, args.optimizer, args.weight_decay, device)
    attention: Any = ATTENTION[args.attention if device == "cuda" else "causal"]()
    note(
        event="model",
        parameters=sum(weight.numel() for weight in model.parameters()),
        config=asdict(config),
        attention=args.attention,
        ranks=ranks.count,
    )

    def loss_of(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        ids, docs, places, wanted, task, weight = parts
        through = attention.through(attention.prepare(docs), ids.shape[1])
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            states = model(ids, torch.arange(ids.shape[1], device=device), through).reshape(-1, config.hidden_size)[places]
            each = F.cross_entropy(model.logits(states).float(), wanted, reduction="none")
        sums = torch.zeros(2, len(TASKS), device=device).index_add_(1, task, torch.stack((each.detach(), torch.ones_like(each))))
        return (each * weight).sum(), sums

    pool = Pool(folder, args.seed + ranks.number)
    while len(pool.rows[SHORT]) < args.first_rows:
        time.sleep(0.2)
        pool.refresh()
        if not any(worker.is_alive() for worker in workers):
            raise SystemExit("Every worker ended; see the messages above.")
    note(event="first rows", rows=len(pool.rows[SHORT]))
    queue: Queue[Any] = Queue(6)
    stop = threading.Event()
    feeder = threading.Thread(target=batches, args=(pool, args.tokens, args.long_share, queue, stop, ranks), daemon=True)
    feeder.start()

    end = STARTED + args.seconds - args.reserve
    began: float | None = None
    step = tokens = 0
    losses = torch.zeros(2, len(TASKS), device=device)
    last = saved = time.monotonic()
    fraction = pace = 0.0  # of the run that is over, and how much a step adds
    while True:
        room, host, reused = queue.get()
        parts = [part.to(device, non_blocking=True) for part in host]
        now = time.monotonic()
        began = began or now
        if step % 10 == 0:  # agreed on seldom: it waits for the device
            before, fraction = fraction, ranks.agree(min(1.0, (now - began) / max(1.0, end - began)))
            pace = (fraction - before) / 10
            if fraction >= 1:
                break
        else:
            fraction = min(1.0, fraction + pace)
        rate = args.lr * min(1.0, (step + 1) / args.warmup) * max(0.0, 1 - fraction)
        try:
            loss, sums = loss_of(parts)
            loss.backward()
        except Exception as exc:
            if isinstance(attention, Plain) or step > 2:
                raise
            attention = Flex() if isinstance(attention, Varlen) else Plain()
            note(event=f"attention failed, {type(attention).__name__} instead", error=f"{type(exc).__name__}: {str(exc)[:500]}")
            model.zero_grad(set_to_none=True)
            torch._dynamo.reset()
            continue
        ranks.average(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(rate)
        model.zero_grad(set_to_none=True)
        step += 1
        tokens += parts[0].numel() * ranks.count
        losses += sums
        if time.monotonic() - saved > args.save_every and not ranks.number:
            save(model, out / "unfinished", args.tokenizer, args.shard_mb)
            saved = time.monotonic()
        if step % args.log_every == 0:
            total, count = losses.tolist()  # waits for the device, which keeps the clock honest
            losses.zero_()
            per_task = {task: round(a / b, 4) for task, a, b in zip(TASKS, total, count, strict=True) if b}
            speed = args.log_every * args.tokens * ranks.count / (time.monotonic() - last)
            last = time.monotonic()
            note(
                step=step, tokens=tokens, lr=round(rate, 6), loss=round(sum(total) / sum(count), 4), per_task=per_task, tokens_per_s=int(speed),
                rows=len(pool.rows[SHORT]) + len(pool.rows[LONG]), reused=round(reused, 3), waiting=queue.qsize(),
            )  # fmt: skip
    stop.set()
    for worker in workers:
        worker.terminate()
    if ranks.number:
        return
    save(model, out, args.tokenizer, args.shard_mb)
    note(event="saved", step=step, tokens=tokens)
    shutil.rmtree(folder, ignore_errors=True)
    if args.eval_n:
        results = evaluation(model, args.tokenizer, args.eval_n, device, STARTED + args.seconds - 4)
        text, data = table(results)
        print(text, flush=True)
        (out / "eval.json").write_text(json.dumps({"table": text, "data": data}, indent=1, ensure_ascii=False), encoding="utf-8")
        (out / "failures.jsonl").write_text(failures(results), encoding="utf-8")
        note(event="evaluated", items={name: len(done) for name, done in results.items()})
    log.close()


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--make-tokenizer", type=Path)
    add("--out", type=Path, default=Path("checkpoint"))
    add("--tokenizer", type=Path, default=TOKENIZER)
    add("--seconds", type=float, default=560, help="wall-clock budget of the whole run, saving and evaluation included")
    add("--reserve", type=float, default=60, help="seconds of it kept for saving and evaluation")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--workers", type=int, default=max(1, (os.cpu_count() or 2) // int(os.environ.get("WORLD_SIZE", "1")) - 2), help="of each GPU")
    add("--chunk", type=int, default=2000, help="samples a shard")
    add("--shards", default="/dev/shm/demo_model_shards")
    add("--pool-gb", type=float, default=30)
    add("--first-rows", type=int, default=400)
    add("--tokens", type=int, default=131_072, help="tokens a batch, of each GPU")
    add("--long-share", type=float, default=0.15, help="share of batches with rows of 4096")
    add("--lr", type=float, default=2e-3)
    add("--optimizer", choices=("adamw", "muon"), default="muon")
    add("--init", type=Path, help="a checkpoint to go on from")
    add("--aligned", type=Path, help="of align.py: adds translations of phrases put together anew")
    add("--broken", type=float, default=0.25, help="share of prompts with BPE dropout")
    add("--save-every", type=float, default=240, help="seconds between unfinished checkpoints")
    add("--warmup", type=int, default=100)
    add("--weight-decay", type=float, default=0.1)
    add("--rope-theta", type=float, default=10_000.0)
    add("--attention", choices=[*ATTENTION], default="varlen")
    add("--shard-mb", type=int, default=12, help="most megabytes in a weight file")
    add("--eval-n", type=int, default=64, help="items a task and language of the quick evaluation; 0 for none")
    add("--log-every", type=int, default=50)
    add("--seed", type=int, default=7)
    add("--tiny", action="store_true")
    args = parser.parse_args()
    if args.make_tokenizer:
        make_tokenizer(args.make_tokenizer)
        return
    train(args)


if __name__ == "__main__":
    main()
