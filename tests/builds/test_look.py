"""What a machine looks like, from the outputs and files of real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from fclocal.builds.host import Gpu
from fclocal.builds.look import Senses, look

SMI = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 550.54.14              Driver Version: 550.54.14      CUDA Version: 12.4     |
|-----------------------------------------+------------------------+----------------------+
"""
QUERY = "nvidia-smi --query-gpu=name,compute_cap --format=csv,noheader"


def senses(root: Path, answers: Mapping[str, str], *, libraries: Sequence[str] = ()) -> Senses:
    """`answers` map whole commands to what they print; a program is there when it has an answer."""
    programs = {command.partition(" ")[0] for command in answers}
    return Senses(
        run=lambda command: answers.get(" ".join(command)),
        which=lambda name: name if name in programs else None,
        loads=libraries.__contains__,
        root=root,
    )


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def pci(address: str, vendor: str, kind: str = "0x030000") -> dict[str, str]:
    return {f"sys/bus/pci/devices/{address}/{name}": text for name, text in (("vendor", vendor), ("class", kind))}


def test_nvidia(tmp_path: Path) -> None:
    answers = {
        "nvidia-smi": SMI,
        QUERY: "NVIDIA GeForce RTX 4090, 8.9\nNVIDIA GeForce GTX 1080, 6.1\n",
        "nvcc --version": "Cuda compilation tools, release 12.6, V12.6.20\n",
        "g++": "",
    }
    write(tmp_path, pci("0000:01:00.0", "0x10de"))
    libraries = ("libcudart.so.12", "libcublas.so.12", "libcudart.so.13")
    host = look(senses(tmp_path, answers, libraries=libraries), system="linux", machine="x86_64")
    assert host.gpus == (
        Gpu("nvidia", "NVIDIA GeForce RTX 4090", "8.9"),
        Gpu("nvidia", "NVIDIA GeForce GTX 1080", "6.1"),
    )
    assert (host.cuda, host.toolkit, host.cuda_libraries) == ((12, 4), (12, 6), frozenset({12}))
    assert host.tools == frozenset({"c++", "nvcc"}) and not host.wsl


@pytest.mark.parametrize("words", ["CUDA Version: 13.1", "CUDA UMD Version: 13.1"])
def test_an_old_nvidia_smi_knows_no_capability_and_a_new_one_words_it_otherwise(tmp_path: Path, words: str) -> None:
    answers = {"nvidia-smi": words, "nvidia-smi --query-gpu=name --format=csv,noheader": "Tesla P100\n"}
    host = look(senses(tmp_path, answers), system="linux", machine="x86_64")
    assert (host.cuda, host.gpus) == ((13, 1), (Gpu("nvidia", "Tesla P100"),))


def test_a_card_without_its_driver_is_seen_on_the_bus(tmp_path: Path) -> None:
    write(tmp_path, pci("0000:01:00.0", "0x10de") | pci("0000:02:00.0", "0x10de", "0x040300"))
    host = look(senses(tmp_path, {}), system="linux", machine="x86_64")
    assert (host.gpus, host.cuda) == ((Gpu("nvidia"),), None)


def test_wsl_keeps_nvidia_smi_off_the_path(tmp_path: Path) -> None:
    program = str(tmp_path / "usr/lib/wsl/lib/nvidia-smi")
    write(tmp_path, {"proc/version": "Linux version 5.15.153.1-microsoft-standard-WSL2"})
    host = look(senses(tmp_path, {program: SMI}), system="linux", machine="x86_64")
    assert host.wsl and host.cuda == (12, 4) and host.gpus == (Gpu("nvidia"),)


@pytest.mark.parametrize(
    ("number", "name"), [("110000", "gfx1100"), ("100300", "gfx1030"), ("90012", "gfx90c"), ("90010", "gfx90a")]
)
def test_amd_with_rocm(tmp_path: Path, number: str, name: str) -> None:
    node = "sys/class/kfd/kfd/topology/nodes"
    write(tmp_path, {f"{node}/0/properties": "gfx_target_version 0\n", "opt/rocm/.info/version": "7.2.1-81\n"})
    write(tmp_path, {f"{node}/1/properties": f"simd_count 60\ngfx_target_version {number}\n"})
    write(tmp_path, pci("0000:03:00.0", "0x1002") | pci("0000:00:02.0", "0x8086"))
    answers = {str(tmp_path / "opt/rocm/bin/hipcc"): ""}
    host = look(senses(tmp_path, answers, libraries=["libvulkan.so.1"]), system="linux", machine="x86_64")
    assert host.gpus == (Gpu("intel", integrated=True), Gpu("amd", arch=name))
    assert (host.rocm, host.vulkan, host.tools) == ((7, 2), True, frozenset({"hipcc"}))


def test_macs(tmp_path: Path) -> None:
    brand = {"sysctl -n machdep.cpu.brand_string": "Apple M3 Pro\n"}
    host = look(senses(tmp_path, brand), system="darwin", machine="arm64")
    assert host.gpus == (Gpu("apple", "Apple M3 Pro"),) and not host.rosetta
    translated = look(
        senses(tmp_path, brand | {"sysctl -n sysctl.proc_translated": "1\n"}), system="darwin", machine="x86_64"
    )
    assert translated.rosetta and translated.of("apple")
    intel = look(senses(tmp_path, {"sysctl -n sysctl.proc_translated": "0\n"}), system="darwin", machine="x86_64")
    assert intel.gpus == () and not intel.rosetta


def test_windows(tmp_path: Path) -> None:
    query = "powershell -NoProfile -Command (Get-CimInstance Win32_VideoController).Name"
    names = "Intel(R) UHD Graphics 770\r\nAMD Radeon RX 7900 XTX\r\nMicrosoft Basic Display\r\n"
    found = senses(tmp_path, {query: names, "cl": ""}, libraries=["vulkan-1.dll"])
    host = look(found, system="win32", machine="AMD64")
    assert (host.system, host.machine, host.vulkan) == ("windows", "x86_64", True)
    assert [(gpu.vendor, gpu.integrated) for gpu in host.gpus] == [("intel", True), ("amd", False)]
    assert host.tools == frozenset({"c++"})


def test_nothing_at_all_and_the_real_machine(tmp_path: Path) -> None:
    host = look(senses(tmp_path, {}), system="linux", machine="aarch64")
    assert (host.machine, host.gpus, host.tools, host.vulkan) == ("arm64", (), frozenset(), False)
    assert look().system in ("linux", "darwin", "windows")
