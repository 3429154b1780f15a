"""From a name to a verified model: plans, gated models, shards, offline, and what is left on the disk."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fclocal.errors import ModelBroken, ModelMissing, NetworkError, OutOfMemory, Refused, UsageError
from fclocal.models.cache import repo_folder
from fclocal.models.catalog import Catalog, load_catalog
from fclocal.models.fit import Machine
from fclocal.models.hub import Hub
from fclocal.models.names import resolve
from fclocal.models.network import refuse_offline
from fclocal.models.progress import Progress
from fclocal.models.pull import PullPlan, plan_pull, pull, remote_header
from fclocal.models.quants import RemoteFile, Variant
from fclocal.models.snapshot import fetch_snapshot
from fclocal.models.store import Store
from tests.fake_hub import FakeHub, Fault
from tests.gguf_bytes import LLAMA, gguf

REPO = "Qwen/Qwen3-4B-GGUF"
NAME = "Qwen3-4B-Q4_K_M.gguf"


@pytest.fixture
def catalog(fake: FakeHub, model: bytes) -> Catalog:
    repo = fake.add(REPO)
    repo.files |= {NAME: model, "Qwen3-4B-Q8_0.gguf": model + b"\0", "README.md": b"#", "mmproj-x.gguf": model}
    return load_catalog()


def quiet(progress: Progress) -> None:
    pass


def assert_nothing_is_ready(store: Store) -> None:
    assert [found for found in store.installed() if found.repo] == []


def test_name_becomes_a_ready_model(
    catalog: Catalog, store: Store, hub: Hub, machine: Machine, model: bytes, fake: FakeHub
) -> None:
    planned = plan_pull("qwen3-4b", catalog, store, hub, machine)
    assert planned.variant.name == NAME
    assert planned.missing == len(model)
    assert planned.header_read
    assert "balance" in planned.reason
    assert [request.path for request in fake.log if "/api/" in request.path] == [f"/api/models/{REPO}/revision/main"]
    installed = pull(planned, store, hub, report=quiet)
    assert installed.path.read_bytes() == model
    assert installed.verified
    assert installed.ours
    assert resolve("qwen3-4b", catalog, store).path == installed.path
    assert store.known_sha256(installed.path) == planned.variant.files[0].sha256


def test_second_pull_fetches_nothing(catalog: Catalog, store: Store, hub: Hub, machine: Machine, fake: FakeHub) -> None:
    pull(plan_pull("qwen3-4b", catalog, store, hub, machine), store, hub, report=quiet)
    before = fake.fetched
    planned = plan_pull("qwen3-4b", catalog, store, hub, machine)
    assert planned.missing == 0
    phases: list[str] = []
    pull(planned, store, hub, report=lambda progress: phases.append(progress.phase))
    assert phases == ["there"]
    assert fake.fetched - before < 3 << 20


@pytest.mark.parametrize(
    ("text", "quant", "name"),
    [
        ("qwen3-4b:Q8_0", "", "Qwen3-4B-Q8_0.gguf"),
        ("qwen3-4b", "q8_0", "Qwen3-4B-Q8_0.gguf"),
        (REPO, "", NAME),
        (f"hf.co/{REPO}:Q8_0", "", "Qwen3-4B-Q8_0.gguf"),
        (f"{REPO}@{'c' * 40}:{NAME}", "", NAME),
    ],
)
def test_what_is_named_is_what_comes(
    catalog: Catalog, store: Store, hub: Hub, machine: Machine, text: str, quant: str, name: str
) -> None:
    assert plan_pull(text, catalog, store, hub, machine, quant=quant).variant.name == name


def test_unknown_things_are_named(catalog: Catalog, store: Store, hub: Hub, machine: Machine) -> None:
    def attempt(text: str, **options: str) -> None:
        plan_pull(text, catalog, store, hub, machine, **options)

    with pytest.raises(ModelMissing, match="Did you mean 'mistral-7b'"):
        attempt("mistal")
    with pytest.raises(ModelMissing, match="It has: Q8_0, Q4_K_M"):
        attempt("qwen3-4b:Q2_K")
    with pytest.raises(ModelMissing, match="The Hub has no nobody/nothing"):
        attempt("nobody/nothing")
    with pytest.raises(ModelMissing, match="Did you mean Qwen/Qwen3-4B-GGUF"):
        attempt("Qwen/Qwen3-4B-GUFF")
    with pytest.raises(ModelMissing, match="no such branch"):
        attempt("qwen3-4b", revision="nosuch")
    with pytest.raises(UsageError, match="is a file"):
        attempt("./x.gguf")
    with pytest.raises(UsageError, match="comes with fclocal"):
        attempt("starter")


def test_small_machines_get_what_fits_or_a_clear_no(catalog: Catalog, store: Store, hub: Hub, fake: FakeHub) -> None:
    with pytest.raises(OutOfMemory, match="--quant"):
        plan_pull("qwen3-4b", catalog, store, hub, Machine(memory=10 << 20))
    named = plan_pull("qwen3-4b:Q4_K_M", catalog, store, hub, Machine(memory=10 << 20))
    assert named.fit is not None
    assert not named.fit.fits


def test_repositories_without_gguf_say_what_to_do(
    catalog: Catalog, store: Store, hub: Hub, machine: Machine, fake: FakeHub
) -> None:
    fake.add("a/tensors").files["model.safetensors"] = b"x"
    fake.add("a/pickles").files["model.bin"] = b"x"
    with pytest.raises(ModelMissing, match="fclocal import a/tensors"):
        plan_pull("a/tensors", catalog, store, hub, machine)
    with pytest.raises(ModelMissing, match="pickles"):
        plan_pull("a/pickles", catalog, store, hub, machine)


def test_gated_models_are_planned_but_not_read(
    catalog: Catalog, store: Store, hub: Hub, machine: Machine, fake: FakeHub
) -> None:
    repo = fake.add("Trelis/Mistral-7B-Instruct-v0.1-function-calling-v2")
    repo.files["Mistral-7B-Instruct-v0.1-function-calling-v2.Q4_K.gguf"] = b"x" * 5000
    repo.gated, repo.readable = "manual", False
    planned = plan_pull("mistral-7b", catalog, store, hub, machine)
    assert planned.gated
    assert not planned.header_read
    assert planned.fit is not None
    assert not planned.fit.exact
    with pytest.raises(Refused, match=r"https://buy\.stripe\.com/cN2cNybSdgyncV25kQ") as caught:
        pull(planned, store, hub, report=quiet)
    assert "Licence" in str(caught.value)
    assert_nothing_is_ready(store)
    assert list(repo_folder(planned.repo, root=store.root).blobs.iterdir()) == []


def test_gated_listing_without_access_explains_itself(
    catalog: Catalog, store: Store, hub: Hub, machine: Machine
) -> None:
    with pytest.raises(Refused, match=r"buy\.stripe\.com"):
        plan_pull("trelis-llama-70b", catalog, store, hub, machine)


def test_shards_come_together(store: Store, hub: Hub, machine: Machine, fake: FakeHub) -> None:
    names = [f"big-Q8_0-0000{n}-of-00002.gguf" for n in (1, 2)]
    parts = [
        gguf(dict(LLAMA) | {"split.count": 2, "split.no": 0}, {"a": ((64, 64), 8)}),
        gguf({"split.count": 2, "split.no": 1}, {"b": ((64, 64), 8)}, fill=b"xy"),
    ]
    fake.add("a/big-GGUF").files |= dict(zip(names, parts, strict=True))
    planned = plan_pull("a/big-GGUF", load_catalog(), store, hub, machine)
    installed = pull(planned, store, hub, report=quiet)
    assert [path.name for path in installed.paths] == names
    assert installed.size == sum(map(len, parts))
    assert resolve("a/big-GGUF", load_catalog(), store).header.parameters == 2 * 64 * 64


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gguf(version=1), "version 1"),
        (b"<html>not found</html>" * 40, "begins with"),
        (gguf()[:-40], "cut off"),
        (gguf(dict(LLAMA) | {"llama.block_count": 0}), "block_count"),
        (gguf(tensors={}), "vocabulary"),
    ],
)
def test_files_that_no_runtime_can_load_never_become_ready(
    store: Store, hub: Hub, machine: Machine, fake: FakeHub, data: bytes, words: str
) -> None:
    fake.add("a/bad-GGUF").files["bad-Q4_0.gguf"] = data
    catalog = load_catalog()
    with pytest.raises(ModelBroken, match=words):
        pull(plan_pull("a/bad-GGUF", catalog, store, hub, machine), store, hub, report=quiet)
    planned = bad_plan(fake, hub, store, data)
    with pytest.raises(ModelBroken):
        pull(planned, store, hub, report=quiet)
    assert_nothing_is_ready(store)
    assert [path for path in store.root.glob("**/blobs/*") if path.stat().st_size] == []


def bad_plan(fake: FakeHub, hub: Hub, store: Store, data: bytes) -> PullPlan:
    """A plan as it would be if the header had looked right."""
    listing = hub.listing("a/bad-GGUF")
    variant = Variant("Q4_0", (next(file for file in listing.files),))
    return PullPlan("bad", "a/bad-GGUF", "main", listing.commit, variant, "", None, False, len(data), None, False)


def test_catalog_hash_is_held_against_the_hubs(store: Store, hub: Hub, machine: Machine, fake: FakeHub) -> None:
    name = "Trelis-Llama-2-7b-chat-hf-function-calling-v2.Q4_K_M.gguf"
    fake.add("s3nh/Trelis-Llama-2-7b-chat-hf-function-calling-v2-GGUF").files[name] = gguf()
    with pytest.raises(ModelBroken, match="not the file that the catalog knows"):
        plan_pull("trelis-llama-7b-s3nh", load_catalog(), store, hub, machine)


def test_wrong_label_is_said_before_the_download(store: Store, hub: Hub, machine: Machine, fake: FakeHub) -> None:
    tensors = {"token_embd.weight": ((256, 8), 14), "blk.0.ffn_up.weight": ((256, 40), 12)}
    fake.add("a/lie-GGUF").files["lie.Q8_0.gguf"] = gguf(LLAMA, tensors)
    planned = plan_pull("a/lie-GGUF", load_catalog(), store, hub, machine)
    assert any("mostly Q4_K" in note for note in planned.notes)


def test_broken_line_while_planning_is_tried_again(
    catalog: Catalog, store: Store, hub: Hub, machine: Machine, fake: FakeHub
) -> None:
    fake.fail(NAME, Fault(cut=1000))
    assert plan_pull("qwen3-4b", catalog, store, hub, machine).header_read
    fake.fail(NAME, *[Fault(status=503)] * 9)
    planned = plan_pull("qwen3-4b", catalog, store, hub, machine)
    assert not planned.header_read
    assert planned.fit is not None


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"sha": "x"}', b'{"sha": "%s", "siblings": 3}' % (b"a" * 40)])
def test_nonsense_from_the_hub_is_a_network_error(hub: Hub, fake: FakeHub, body: bytes) -> None:
    fake.listing_body = body
    with pytest.raises(NetworkError, match="makes no sense"):
        hub.listing(REPO)


@pytest.mark.parametrize(
    ("status", "error"), [(403, Refused), (404, ModelMissing), (500, NetworkError), (429, NetworkError)]
)
def test_listing_statuses(hub: Hub, fake: FakeHub, status: int, error: type[Exception]) -> None:
    fake.listing_status = status
    with pytest.raises(error):
        hub.listing(REPO)


def test_unsafe_file_names_from_the_hub_are_skipped(hub: Hub, fake: FakeHub) -> None:
    fake.add("a/b").files |= {"../../evil.gguf": b"x", "C:\\evil.gguf": b"x", "good.gguf": b"x", "nul.gguf": b"x"}
    listing = hub.listing("a/b")
    assert [file.name for file in listing.files] == ["good.gguf"]
    assert len(listing.skipped) == 3


@pytest.mark.parametrize("repo", ["../x/y", "a/b/c", "a", "a/..", "a/b\n"])
def test_bad_repository_ids_never_reach_the_network(hub: Hub, fake: FakeHub, repo: str) -> None:
    with pytest.raises(ModelMissing):
        hub.listing(repo)
    assert fake.log == []


def test_offline_is_said_within_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = time.monotonic()
    with pytest.raises(NetworkError, match="cannot be reached"):
        refuse_offline("http://127.0.0.1:9")
    with pytest.raises(NetworkError, match="cannot be reached"):
        refuse_offline("http://nosuch.invalid", patience=0.5)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE"):
        refuse_offline()
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("address", ["", "http://", "http://x:abc", "https://[::1", "no address"])
def test_endpoints_that_are_none_are_named(address: str) -> None:
    with pytest.raises(UsageError if address else NetworkError):
        refuse_offline(address or "http://127.0.0.1:9")


def test_a_proxy_is_asked_in_place_of_the_hub(monkeypatch: pytest.MonkeyPatch, fake: FakeHub) -> None:
    monkeypatch.setenv("https_proxy", fake.endpoint)
    refuse_offline("https://nosuch.invalid")


def test_installed_models_work_offline(
    catalog: Catalog, store: Store, hub: Hub, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull(plan_pull("qwen3-4b", catalog, store, hub, machine), store, hub, report=quiet)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert resolve("qwen3-4b", catalog, store).path.exists()
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE"):
        plan_pull("qwen3-8b", catalog, store, hub, machine)


def test_huggingface_hub_accepts_what_we_placed(catalog: Catalog, store: Store, hub: Hub, machine: Machine) -> None:
    from huggingface_hub import scan_cache_dir, try_to_load_from_cache

    installed = pull(plan_pull("qwen3-4b", catalog, store, hub, machine), store, hub, report=quiet)
    assert try_to_load_from_cache(REPO, NAME, cache_dir=store.root) == str(installed.path)
    found = scan_cache_dir(store.root)
    assert [repo.repo_id for repo in found.repos] == [REPO]
    assert found.warnings == []


def test_checkpoints_are_fetched_file_by_file(store: Store, hub: Hub, fake: FakeHub) -> None:
    repo = fake.add("a/tensors")
    repo.files |= {
        "model.safetensors": b"w" * 300_000,
        "config.json": b"{}",
        "evil.py": b"import os",
        "sub/x.json": b"1",
    }
    repo.small = frozenset({"config.json", "sub/x.json"})

    def wanted(name: str) -> bool:
        return name.endswith((".safetensors", ".json"))

    folder = fetch_snapshot("a/tensors", wanted=wanted, store=store, hub=hub, report=quiet)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        "config.json",
        "model.safetensors",
        "sub/x.json",
    ]
    before = fake.fetched
    assert fetch_snapshot("a/tensors", wanted=wanted, store=store, hub=hub, report=quiet) == folder
    assert fake.fetched == before
    with pytest.raises(ModelMissing, match="none of the files"):
        fetch_snapshot("a/tensors", wanted=lambda name: False, store=store, hub=hub, report=quiet)


def test_header_is_read_in_ranges(hub: Hub, fake: FakeHub) -> None:
    tokens = [f"token{number}" for number in range(400_000)]
    data = gguf(dict(LLAMA) | {"tokenizer.ggml.tokens": tokens}, {"t": ((1024, 4000), 0)})
    fake.add("a/b").files["x.gguf"] = data
    header = remote_header(hub, hub.listing("a/b"), RemoteFile("x.gguf", len(data)))
    assert header.length("tokenizer.ggml.tokens") == 400_000
    assert header.parameters == 1024 * 4000
    assert fake.fetched <= 8 << 20 < len(data)
    assert fake.gets("x.gguf")[0].headers["range"] == f"bytes=0-{(2 << 20) - 1}"


def test_read_only_stores_still_give_models(tmp_path: Path, catalog: Catalog) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    store = Store(root=tmp_path / "hub", data=blocked)
    store.mark_used(tmp_path / "x")
    assert store.installed() == ()
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf())
    assert len(store.file_sha256(path)) == 64
