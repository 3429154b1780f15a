"""Which build of llama-cpp-python fits a machine. Pure: knows what wheels are published for, not where they are.

Ready wheels and what they run on: the README and the wheel workflows of llama-cpp-python 0.3.36.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from fclocal.builds.host import Backend, Gpu, Host, Tool, Version

# Whether the index of ready wheels called by this tag has one for this machine.
Listed: TypeAlias = Callable[[str], bool]

_CUDA_WHEELS: Final[tuple[Version, ...]] = ((13, 2), (13, 0), (12, 5), (12, 4), (12, 3), (12, 2), (12, 1), (11, 8))
# CUDA's major version -> the compute capabilities that its wheels hold code for.
_CAPABILITIES: Final[dict[int, tuple[Version, Version]]] = {
    13: ((7, 5), (99, 0)),
    12: ((6, 0), (99, 0)),
    11: ((6, 0), (8, 9)),
}
_OLDEST_CUDA: Final = _CUDA_WHEELS[-1]
_OLDEST_CAPABILITY: Final = (5, 0)
_ROCM_WHEEL_TARGETS: Final = frozenset(
    f"gfx{name}" for name in ["908", "90a", "942", "1030", "1100", "1101", "1102", "1150", "1151", "1200", "1201"]
)
_ROCM_WHEEL_MAJOR: Final = 7
_CUDA_PACKAGES: Final = {
    11: ("nvidia-cuda-runtime-cu11", "nvidia-cublas-cu11"),
    12: ("nvidia-cuda-runtime-cu12", "nvidia-cublas-cu12"),
    13: ("nvidia-cuda-runtime==13.*", "nvidia-cublas==13.*"),
}


@dataclass(frozen=True, slots=True)
class Build:
    """One way to get llama-cpp-python: a ready wheel from the index called `tag`, or from source when `tag` is empty.

    `packages` go with a ready wheel. `defines` are CMake definitions, `variables` environment variables, and `missing`
    the tools of a build from source that this machine lacks.
    """

    backend: Backend
    tag: str = ""
    packages: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    missing: tuple[Tool, ...] = ()


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a GPU cannot be used as things are, and what to do about it."""

    sentence: str
    cure: str


@dataclass(frozen=True, slots=True)
class Candidates:
    """Builds that would run on a machine, the best first, and what stands in the way of better ones."""

    builds: tuple[Build, ...]
    obstacles: tuple[Obstacle, ...]

    @property
    def wants_gpu(self) -> bool:
        """Whether there is a GPU that some build can use."""
        return any(build.backend != "cpu" for build in self.builds)


def candidates(host: Host, wanted: Backend | None = None) -> Candidates:
    """Every build for `host`, or only those of one backend."""
    found = [found for backend in ([wanted] if wanted else _backends(host)) for found in _MAKERS[backend](host)]
    builds = tuple(each for each in found if isinstance(each, Build))
    obstacles = tuple(each for each in found if isinstance(each, Obstacle))
    return Candidates(builds, tuple(dict.fromkeys(obstacles)))


def choose(found: Candidates, listed: Listed) -> Build | None:
    """The first build that can be had: a listed wheel, or a build from source with every tool there.

    A GPU build with tools missing comes before the CPU; None when nothing runs at all.
    """
    gpu = [build for build in found.builds if build.backend != "cpu"]
    for builds in (gpu, [build for build in found.builds if build.backend == "cpu"]):
        for build in builds:
            if listed(build.tag) if build.tag else not build.missing:
                return build
        from_source = [build for build in builds if not build.tag]
        if from_source:
            return from_source[0]
    return None


def _backends(host: Host) -> list[Backend]:
    """The backends worth trying, the fastest first."""
    wanted: list[Backend] = []
    if host.of("nvidia"):
        wanted.append("cuda")
    if host.of("apple"):
        wanted.append("metal")
    if host.of("amd"):
        # Windows does not tell which GPU it is, and the wheel for HIP there holds code for few of them.
        wanted += ["rocm", "vulkan"] if host.rocm else ["vulkan", "rocm"] if host.system == "windows" else ["vulkan"]
    if any(not gpu.integrated for gpu in host.of("intel")):
        wanted.append("vulkan")
    return [*dict.fromkeys(wanted), "cpu"]


def _cuda(host: Host) -> Iterator[Build | Obstacle]:
    if host.system == "darwin":
        yield Obstacle("CUDA does not run on macOS.", "Metal does: --backend metal")
        return
    if host.cuda is None:
        where = "in Windows, not in WSL," if host.wsl else "here"
        yield Obstacle("No NVIDIA driver answers.", f"Install NVIDIA's driver {where} and check it with: nvidia-smi")
        return
    capabilities = _capabilities(host.of("nvidia"))
    newest = f"CUDA {host.cuda[0]}.{host.cuda[1]}"
    if host.cuda < _OLDEST_CUDA:
        yield Obstacle(f"The NVIDIA driver runs {newest} at most; llama.cpp needs 11.8.", "Update it to 520 or newer.")
        return
    if capabilities and min(capabilities) < _OLDEST_CAPABILITY:
        major, minor = min(capabilities)
        yield Obstacle(f"A GPU of compute capability {major}.{minor} is too old for llama.cpp.", "Use the CPU.")
        return
    for toolkit in _CUDA_WHEELS:
        if toolkit <= host.cuda and _holds_code(toolkit[0], capabilities):
            packages = () if toolkit[0] in host.cuda_libraries else _CUDA_PACKAGES[toolkit[0]]
            yield Build("cuda", tag=f"cu{toolkit[0]}{toolkit[1]}", packages=packages)
    # A driver runs what any toolkit of its own major version or an older one compiles.
    usable = host.toolkit is None or host.toolkit[0] <= host.cuda[0]
    able = host if usable else replace(host, tools=host.tools - {"nvcc"})
    yield _source(able, "cuda", "GGML_CUDA=on", tools=("c++", "nvcc"))


def _capabilities(gpus: tuple[Gpu, ...]) -> tuple[Version, ...]:
    found = (gpu.arch.split(".") for gpu in gpus)
    return tuple((int(parts[0]), int(parts[1])) for parts in found if len(parts) == 2 and "".join(parts).isdecimal())


def _holds_code(major: int, capabilities: tuple[Version, ...]) -> bool:
    """Whether wheels of this CUDA run on all of them. Where the driver does not tell, the oldest GPUs may be there."""
    low, high = _CAPABILITIES[major]
    return all(low <= capability <= high for capability in capabilities or ((6, 0),))


def _rocm(host: Host) -> Iterator[Build | Obstacle]:
    if host.system == "windows":
        yield Build("rocm", tag="hip-radeon")
        return
    if host.system == "darwin" or host.rocm is None:
        yield Obstacle("ROCm is not installed.", "Vulkan needs only the GPU's own driver; for ROCm, install AMD's.")
        return
    targets = {gpu.arch for gpu in host.of("amd") if gpu.arch}
    if targets and targets <= _ROCM_WHEEL_TARGETS and host.rocm[0] == _ROCM_WHEEL_MAJOR:
        yield Build("rocm", tag="rocm72")
    defines = ["GGML_HIP=on", *([f"GPU_TARGETS={';'.join(sorted(targets))}"] if targets else [])]
    variables = (("HIPCXX", "/opt/rocm/llvm/bin/clang"), ("HIP_PATH", "/opt/rocm"))
    yield _source(host, "rocm", *defines, tools=("c++", "hipcc"), variables=variables)


def _vulkan(host: Host) -> Iterator[Build | Obstacle]:
    if not host.vulkan:
        cure = "Install the GPU's Vulkan driver (Debian, Ubuntu: apt install libvulkan1 mesa-vulkan-drivers)."
        yield Obstacle("There is no Vulkan loader.", cure if host.system == "linux" else "Update the GPU's driver.")
        return
    yield Build("vulkan", tag="vulkan")
    yield _source(host, "vulkan", "GGML_VULKAN=on", tools=("c++", "glslc"))


def _metal(host: Host) -> Iterator[Build | Obstacle]:
    if host.rosetta:
        cure = "Install fclocal with a Python for arm64."
        yield Obstacle("This Python is an Intel program on Apple silicon: it cannot use the GPU.", cure)
    elif host.system != "darwin" or host.machine != "arm64":
        yield Obstacle("Metal needs Apple silicon.", "Use another backend.")
    else:
        yield Build("metal", tag="metal")
        yield _source(host, "metal", "GGML_METAL=on", tools=("c++",))


def _cpu(host: Host) -> Iterator[Build | Obstacle]:
    yield Build("cpu", tag="cpu")
    yield _source(host, "cpu", *(["GGML_METAL=off"] if host.system == "darwin" else []), tools=("c++",))


def _source(
    host: Host,
    backend: Backend,
    *defines: str,
    tools: tuple[Tool, ...],
    variables: tuple[tuple[str, str], ...] = (),
) -> Build:
    missing = tuple(tool for tool in tools if tool not in host.tools)
    return Build(backend, defines=defines, variables=variables, missing=missing)


_MAKERS: Final[dict[Backend, Callable[[Host], Iterator[Build | Obstacle]]]] = {
    "cuda": _cuda,
    "rocm": _rocm,
    "vulkan": _vulkan,
    "metal": _metal,
    "cpu": _cpu,
}
