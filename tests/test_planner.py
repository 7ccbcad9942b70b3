"""The memory forecast, held against published sizes and against the real classes of transformers."""

import pytest

from llm_magics.engines.gpu import Gpu
from llm_magics.engines.planner import GIB, Forecast, Load, Shape, forecast, largest_seq_len, require
from llm_magics.errors import MemoryNeededError, ModelError

LLAMA = {"model_type": "llama", "max_position_embeddings": 131072, "tie_word_embeddings": False}


def config(kind, hidden, layers, heads, kv, inner, vocab, **more):  # noqa: PLR0917 - as the table below is written
    return {
        "model_type": kind,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "intermediate_size": inner,
        "vocab_size": vocab,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": False,
        **more,
    }


# The parameter counts that the makers publish (model cards, and the safetensors metadata of the repositories).
KNOWN = {
    "Llama-3.1-8B": (config("llama", 4096, 32, 32, 8, 14336, 128256), 8_030_261_248),
    "Llama-3.1-70B": (config("llama", 8192, 80, 64, 8, 28672, 128256), 70_553_706_496),
    "Llama-3.2-1B": (config("llama", 2048, 16, 32, 8, 8192, 128256, head_dim=64, tie_word_embeddings=True), 1_235_814_400),
    "TinyLlama-1.1B": (config("llama", 2048, 22, 32, 4, 5632, 32000), 1_100_048_384),
    "Mistral-7B-v0.3": (config("mistral", 4096, 32, 32, 8, 14336, 32768), 7_248_023_552),
    "Mixtral-8x7B": (config("mixtral", 4096, 32, 32, 8, 14336, 32000, num_local_experts=8), 46_702_792_704),
    "Qwen2.5-0.5B": (config("qwen2", 896, 24, 14, 2, 4864, 151936, tie_word_embeddings=True), 494_032_768),
    "Qwen2.5-7B": (config("qwen2", 3584, 28, 28, 4, 18944, 152064), 7_615_616_512),
    "Qwen3-8B": (config("qwen3", 4096, 36, 32, 8, 12288, 151936, head_dim=128), 8_190_735_360),
    "gemma-2-9b": (config("gemma2", 3584, 42, 16, 8, 14336, 256000, head_dim=256, tie_word_embeddings=True), 9_241_705_984),
    "Phi-3-mini": (config("phi3", 3072, 32, 32, 32, 8192, 32064), 3_821_079_552),
    "SmolLM2-135M": (config("llama", 576, 30, 9, 3, 1536, 49152, tie_word_embeddings=True), 134_515_008),
}


@pytest.mark.parametrize("name", KNOWN)
def test_published_sizes(name):
    made, published = KNOWN[name]
    assert Shape.of(made).parameters == pytest.approx(published, rel=0.0005)


@pytest.mark.parametrize("name", ["Llama-3.2-1B", "Qwen2.5-0.5B", "Qwen3-8B", "gemma-2-9b", "Mixtral-8x7B", "Phi-3-mini"])
def test_counts_equal_the_real_classes(name):
    torch = pytest.importorskip("torch")
    from transformers import AutoConfig, AutoModelForCausalLM

    made = {**KNOWN[name][0], "pad_token_id": None}
    kind = made.pop("model_type")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **made))
    counted = sum(parameter.numel() for parameter in {id(p): p for p in model.parameters()}.values())
    assert Shape.of({**made, "model_type": kind}).parameters == pytest.approx(counted, rel=0.0005)


def test_kv_cache_of_grouped_heads():
    shape = Shape.of(KNOWN["Llama-3.1-8B"][0])
    assert shape.kv_bytes_per_token() == 128 * 1024  # 2 x 32 layers x 8 heads x 128 x 2 bytes
    assert shape.kv_bytes(8192) == GIB
    assert shape.kv_bytes(8192, tensor_parallel=4) == GIB // 4
    assert shape.kv_bytes(8192, tensor_parallel=16) == GIB // 8  # eight heads over sixteen GPUs: one each


def test_kv_cache_of_sliding_windows():
    gemma = Shape.of({**KNOWN["gemma-2-9b"][0], "sliding_window": 4096})
    whole = Shape.of(KNOWN["gemma-2-9b"][0])
    assert gemma.kv_bytes(4096) == whole.kv_bytes(4096)
    assert gemma.kv_bytes(8192) == whole.kv_bytes(8192) * 3 // 4
    listed = Shape.of(
        {**LLAMA, **KNOWN["Llama-3.2-1B"][0], "sliding_window": 512, "layer_types": ["sliding_attention"] * 15 + ["full_attention"]}
    )
    assert listed.windows.count(None) == 1
    off = Shape.of({**KNOWN["Qwen2.5-7B"][0], "sliding_window": 4096, "use_sliding_window": False})
    assert off.windows == ()


def test_quantization_leaves_the_embedding():
    shape = Shape.of(KNOWN["Llama-3.1-8B"][0])
    assert shape.weight_bytes("float16") == pytest.approx(16.06e9, rel=0.001)
    assert shape.weight_bytes("float16", "int8") == pytest.approx(9.08e9, rel=0.01)  # 6.98 G at one byte, 1.05 G at two
    assert shape.weight_bytes("float16", "int4") < shape.weight_bytes("float16", "fp8")


def gpu(free, name="NVIDIA A10"):
    return Gpu(name, "8.6", "580.1", 24 * GIB, int(free * GIB))


def test_refuses_with_the_numbers_and_what_fits():
    shape = Shape.of(KNOWN["Llama-3.1-8B"][0])
    assert not forecast(shape, Load(max_seq_len=8192), [gpu(24)]).problem
    long = forecast(shape, Load(max_seq_len=131072), [gpu(24)])
    assert "NVIDIA A10 has 24.00 GiB free" in long.problem
    length = largest_seq_len(shape, Load(max_seq_len=131072), [gpu(24)])
    assert long.advice == f"The longest window that fits: --max-seq-len {length}."
    assert not forecast(shape, Load(max_seq_len=length), [gpu(24)]).problem
    assert forecast(shape, Load(max_seq_len=length + 256), [gpu(24)]).problem
    with pytest.raises(MemoryNeededError, match=r"weights 14\.96 GiB"):
        require(long, "Llama-3.1-8B")


@pytest.mark.parametrize(
    ("load", "free", "advice"),
    [
        (Load(), [15], "It fits with --quantization int8."),
        (Load(), [9], "It fits with --quantization int4."),
        (Load(quantization="int4"), [6, 6], "It fits with --tensor-parallel 2."),
        (Load(kv_cache=8 * GIB), [20], "Use --kv-cache-mb"),
        (Load(), [1], "Unload other models"),
        (Load(tensor_parallel=3), [24, 24, 24], "Use --tensor-parallel 1 or 2 or 4"),
        (Load(tensor_parallel=4), [24, 24], "Use --tensor-parallel 2"),
    ],
)
def test_advice(load, free, advice):
    made = forecast(Shape.of(KNOWN["Llama-3.1-8B"][0]), load, [gpu(size) for size in free])
    assert made.problem
    assert made.advice.startswith(advice)


def test_the_advice_is_true():
    """Whatever is advised is itself forecast to fit."""
    shape = Shape.of(KNOWN["Llama-3.1-8B"][0])
    budget = forecast(shape, Load(kv_cache=8 * GIB), [gpu(20)])
    megabytes = int(budget.advice.split()[2])
    assert not forecast(shape, Load(kv_cache=megabytes * 2**20), [gpu(20)]).problem


def test_without_a_gpu_it_is_only_told():
    made = forecast(Shape.of(KNOWN["Llama-3.1-8B"][0]), Load(), [])
    assert isinstance(made, Forecast)
    assert not made.problem
    assert made.text.endswith("no GPU seen here")


def test_a_config_without_sizes():
    with pytest.raises(ModelError, match="num_hidden_layers"):
        Shape.of({"hidden_size": 64, "vocab_size": 10})
