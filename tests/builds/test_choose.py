"""Which build fits which machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fclocal.builds.choose import Build, candidates, choose
from fclocal.builds.host import Backend, Gpu, Host

TOOLS = frozenset({"c++", "nvcc", "hipcc", "glslc"})
LINUX = Host(system="linux", machine="x86_64", tools=frozenset({"c++"}))
RTX = Gpu("nvidia", "RTX 4090", "8.9")
NVIDIA = replace(LINUX, gpus=(RTX,), cuda=(12, 4))
RADEON = Gpu("amd", arch="gfx1100")
EVERY_TAG = {"cu118", "cu121", "cu122", "cu123", "cu124", "cu125", "cu130", "cu132", "rocm72", "vulkan", "metal", "cpu"}


def chosen(host: Host, *tags: str, wanted: Backend | None = None) -> Build:
    found = choose(candidates(host, wanted), (set(tags) or EVERY_TAG).__contains__)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("driver", "capability", "tag"),
    [
        ((12, 4), "8.9", "cu124"),
        ((12, 9), "8.9", "cu125"),
        ((13, 0), "12.0", "cu130"),
        ((13, 1), "9.0", "cu130"),
        ((13, 4), "9.0", "cu132"),
        ((13, 2), "6.1", "cu125"),
        ((12, 0), "8.6", "cu118"),
        ((11, 8), "7.5", "cu118"),
        ((13, 2), "", "cu125"),
    ],
)
def test_the_wheel_of_the_newest_cuda_that_driver_and_gpu_run(
    driver: tuple[int, int], capability: str, tag: str
) -> None:
    build = chosen(replace(NVIDIA, gpus=(Gpu("nvidia", "", capability),), cuda=driver))
    assert (build.backend, build.tag, build.missing) == ("cuda", tag, ())


def test_an_older_gpu_beside_a_new_one_must_be_served_too() -> None:
    both = replace(NVIDIA, gpus=(RTX, Gpu("nvidia", "GTX 1080", "6.1")), cuda=(13, 2))
    assert chosen(both).tag == "cu125"


def test_a_wheel_that_is_not_published_gives_way_to_the_next_one() -> None:
    assert chosen(replace(NVIDIA, cuda=(12, 3)), "cu118", "cu130").tag == "cu118"


def test_cuda_libraries_come_along_where_the_system_has_none() -> None:
    assert chosen(NVIDIA).packages == ("nvidia-cuda-runtime-cu12", "nvidia-cublas-cu12")
    assert chosen(replace(NVIDIA, cuda_libraries=frozenset({12}))).packages == ()
    assert all("13" in package for package in chosen(replace(NVIDIA, cuda=(13, 2))).packages)


def test_without_a_wheel_the_build_is_from_source_and_names_what_is_missing() -> None:
    assert chosen(NVIDIA, "cpu") == Build("cuda", defines=("GGML_CUDA=on",), missing=("nvcc",))
    ready = replace(NVIDIA, tools=TOOLS, toolkit=(12, 8))
    assert chosen(ready, "cpu") == Build("cuda", defines=("GGML_CUDA=on",))
    assert chosen(replace(ready, toolkit=(13, 0)), "cpu").missing == ("nvcc",)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        (replace(NVIDIA, cuda=(11, 4)), "CUDA 11.4 at most"),
        (replace(NVIDIA, cuda=None), "No NVIDIA driver"),
        (replace(NVIDIA, gpus=(Gpu("nvidia", "Tesla K80", "3.7"),), cuda=(11, 8)), "too old"),
        (replace(LINUX, gpus=(RADEON,)), "no Vulkan loader"),
        (Host(system="darwin", machine="x86_64", gpus=(Gpu("apple"),), rosetta=True), "Intel program"),
    ],
)
def test_what_cannot_be_used_is_an_obstacle_with_a_cure_and_the_cpu_stays(host: Host, said: str) -> None:
    found = candidates(host)
    (obstacle,) = found.obstacles
    assert said in obstacle.sentence and obstacle.cure
    assert not found.wants_gpu and chosen(host).backend == "cpu"


def test_the_second_vendor_serves_when_the_first_cannot() -> None:
    both = replace(NVIDIA, gpus=(RTX, RADEON), cuda=(11, 4), vulkan=True)
    assert chosen(both).tag == "vulkan"
    assert chosen(replace(both, cuda=(12, 4))).tag == "cu124"


def test_amd() -> None:
    with_rocm = replace(LINUX, gpus=(RADEON,), rocm=(7, 2), vulkan=True)
    assert chosen(with_rocm).tag == "rocm72"
    assert chosen(replace(with_rocm, gpus=(RADEON, Gpu("amd", arch="gfx90a")))).tag == "rocm72"
    other = replace(with_rocm, gpus=(Gpu("amd", arch="gfx906"),))
    assert chosen(other).tag == "vulkan", "no compiler: the ready wheel"
    built = chosen(replace(other, tools=TOOLS))
    assert built.backend == "rocm" and built.defines == ("GGML_HIP=on", "GPU_TARGETS=gfx906")
    assert dict(built.variables)["HIP_PATH"]
    assert chosen(replace(with_rocm, rocm=(6, 4), tools=TOOLS)).tag == "", "its wheel needs ROCm 7"
    assert chosen(replace(with_rocm, rocm=None)).tag == "vulkan"
    windows = Host(system="windows", machine="x86_64", gpus=(Gpu("amd"),), vulkan=True)
    assert chosen(windows, "hip-radeon", "vulkan", "cpu").tag == "vulkan", "it runs on every GPU"
    assert chosen(windows, "hip-radeon", "cpu").tag == "hip-radeon"
    assert chosen(windows, "hip-radeon", "vulkan", wanted="rocm").tag == "hip-radeon"


def test_intel_graphics_of_a_processor_are_left_alone_a_card_is_not() -> None:
    inside = replace(LINUX, gpus=(Gpu("intel", integrated=True),), vulkan=True)
    assert chosen(inside).backend == "cpu"
    assert chosen(inside, wanted="vulkan").tag == "vulkan"
    assert chosen(replace(inside, gpus=(Gpu("intel"),))).tag == "vulkan"


def test_apple() -> None:
    silicon = Host(system="darwin", machine="arm64", gpus=(Gpu("apple", "Apple M3"),), tools=frozenset({"c++"}))
    assert chosen(silicon).tag == "metal"
    assert chosen(silicon, "cpu").defines == ("GGML_METAL=on",)
    intel = Host(system="darwin", machine="x86_64", tools=frozenset({"c++"}))
    assert chosen(intel, "metal") == Build("cpu", defines=("GGML_METAL=off",))


def test_wsl_says_where_the_driver_goes() -> None:
    (obstacle,) = candidates(replace(NVIDIA, cuda=None, wsl=True)).obstacles
    assert "in Windows" in obstacle.cure


def test_a_backend_that_cannot_run_here_gives_no_build() -> None:
    assert choose(candidates(LINUX, "metal"), EVERY_TAG.__contains__) is None
    assert choose(candidates(LINUX, "rocm"), EVERY_TAG.__contains__) is None
