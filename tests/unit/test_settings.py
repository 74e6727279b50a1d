import math
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from segdrop import settings
from segdrop.errors import ConfigError, Exit
from segdrop.settings import Section, Settings


@pytest.fixture(autouse=True)
def no_system_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "SYSTEM_CONFIG_PATH", tmp_path / "etc" / "segdrop.toml")


def toml(folder: Path, text: str) -> Path:
    path = folder / "segdrop.toml"
    path.write_text(text)
    return path


def load(path: Path | None = None, environ: dict[str, str] | None = None, **overrides: Any) -> Settings:
    return settings.load(path, overrides, environ or {})


def fields(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from fields(field.annotation, f"{name}.")
        else:
            yield prefix + name, field


# precedence


def test_without_any_source_all_is_default() -> None:
    loaded = load()
    assert loaded.root == Path("segdrop")
    assert loaded.queue.capacity == 8
    assert (loaded.intake.settle_seconds, loaded.intake.incomplete_seconds, loaded.intake.scan_seconds) == (5, 300, 2)
    assert loaded.defaults == {}


def test_command_line_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    path = toml(tmp_path, 'root = "/file"\n[queue]\ncapacity = 3\n[intake]\nscan_seconds = 9')
    environ = {"SEGDROP_ROOT": "/environment", "SEGDROP_QUEUE__CAPACITY": "4"}
    loaded = load(path, environ, root=Path("/command-line"))
    assert loaded.root == Path("/command-line")
    assert loaded.queue.capacity == 4
    assert loaded.intake.scan_seconds == 9
    assert loaded.intake.settle_seconds == 5
    assert load(path, environ).root == Path("/environment")
    assert load(path).root == Path("/file")


def test_a_file_is_found_by_option_then_variable_then_at_its_place_in_etc(tmp_path: Path) -> None:
    for name in ("option", "variable", "etc"):
        (tmp_path / name).mkdir()
        toml(tmp_path / name, f'root = "/{name}"')
    environ = {settings.CONFIG_VARIABLE: str(tmp_path / "variable" / "segdrop.toml")}
    assert load(tmp_path / "option" / "segdrop.toml", environ).root == Path("/option")
    assert load(None, environ).root == Path("/variable")
    assert load(None, {settings.CONFIG_VARIABLE: ""}).root == Path("/etc")


def test_the_environment_given_is_the_only_one_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGDROP_QUEUE__CAPACITY", "77")
    monkeypatch.setenv("SEGDROP_NONSENSE", "1")
    assert load(None, {}).queue.capacity == 8
    monkeypatch.delenv("SEGDROP_NONSENSE")
    assert settings.load().queue.capacity == 77


def test_settings_that_are_not_loaded_look_at_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGDROP_QUEUE__CAPACITY", "77")
    assert Settings() == load()


def test_variables_and_keys_have_one_spelling(tmp_path: Path) -> None:
    assert load(None, {"segdrop_queue__capacity": "4", "Segdrop_Nonsense": "1"}).queue.capacity == 8
    with pytest.raises(ConfigError, match=r"`ROOT` is not a setting; did you mean `root`\?"):
        load(toml(tmp_path, 'ROOT = "/x"'))


def test_sources_name_where_each_value_comes_from(tmp_path: Path) -> None:
    path = toml(tmp_path, "[queue]\ncapacity = 3\n[defaults]\nlevel = 1")
    found = settings.sources(path, {"SEGDROP_INTAKE__WATCH": "0", "SEGDROP_DEFAULTS__SEED": "1"}, {"root": "/x"})
    assert set(found) == set(settings.keys())
    assert found["root"] == "command line"
    assert found["intake.watch"] == "environment SEGDROP_INTAKE__WATCH"
    assert found["defaults"] == "environment SEGDROP_DEFAULTS"
    assert found["queue.capacity"] == str(path)
    assert found["intake.scan_seconds"] == "default"


# what is refused


@pytest.mark.parametrize(
    ("text", "unknown", "meant"),
    [
        ("[queue]\ncapacty = 3", "queue.capacty", "queue.capacity"),
        ("[intake]\nsettle = 3", "intake.settle", "intake.settle_seconds"),
        ("[queues]\ncapacity = 3", "queues", "queue"),
        ('rot = "/x"', "rot", "root"),
        ("capacity = 3", "capacity", "queue.capacity"),
    ],
)
def test_an_unknown_key_in_the_file_is_refused_with_the_nearest(
    tmp_path: Path, text: str, unknown: str, meant: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load(toml(tmp_path, text))
    message = str(raised.value)
    assert f"config.unknown_key: `{unknown}` is not a setting; did you mean `{meant}`?" in message
    assert str(tmp_path) in message, "the file at fault is named"
    assert raised.value.exit_code == Exit.CONFIG


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("SEGDROP_QUEUE__CAPACTY", "SEGDROP_QUEUE__CAPACITY"),
        ("SEGDROP_QUEUE_CAPACITY", "SEGDROP_QUEUE__CAPACITY"),
        ("SEGDROP_ROOOT", "SEGDROP_ROOT"),
        ("SEGDROP_QUEUE", "SEGDROP_QUEUE__CAPACITY"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest(variable: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"config.unknown_key: {variable} .*did you mean {meant}"):
        load(None, {variable: "3"})


def test_all_unknown_keys_are_named_at_once(tmp_path: Path) -> None:
    path = toml(tmp_path, "xyzzy = 1\n[queue]\ncapacty = 3")
    with pytest.raises(ConfigError) as raised:
        load(path, {"SEGDROP_FOO": "1", "SEGDROP_BAR": "1", "PATH": "/bin"})
    lines = str(raised.value).splitlines()
    assert len(lines) == 4
    assert all("config.unknown_key" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[queue]\ncapacity = "many"', "queue.capacity"),
        ("[queue]\ncapacity = 0", "queue.capacity"),
        ("[queue]\ncapacity = 2.5", "queue.capacity"),
        ("[queue]\ncapacity = [1]", "queue.capacity"),
        ("queue = 5", "queue"),
        ("[[queue]]\ncapacity = 5", "queue"),
        ("root = 5", "root"),
        ("[intake]\nscan_seconds = 0", "intake.scan_seconds"),
        ("[intake]\nscan_seconds = inf", "intake.scan_seconds"),
        ("[intake]\nsettle_seconds = nan", "intake.settle_seconds"),
        ("[intake]\nsettle_seconds = inf", "intake.settle_seconds"),
        ("[intake]\nincomplete_seconds = -1", "intake.incomplete_seconds"),
        ("[service]\nrequire_sentinel = 2", "service.require_sentinel"),
        ("[limits]\nmax_archive_bytes = 0", "limits.max_archive_bytes"),
        ("[training]\nnice = 20", "training.nice"),
        ('[log]\nlevel = "loud"', "log.level"),
        ("defaults = 3", "defaults"),
        ("[defaults]\nlevel = 9", "defaults"),
        ("[defaults]\nlevl = 1", "defaults"),
        ('[defaults]\ntask = "predict"', "defaults"),
        ("[defaults]\nseed = 2026-11-21", "defaults"),
        ("[defaults]\nlearning_rate = inf", "defaults"),
    ],
)
def test_a_wrong_value_in_the_file_names_its_key(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError, match=f"config.invalid_value: `{key}`"):
        load(toml(tmp_path, text))


def test_all_wrong_values_are_named_at_once(tmp_path: Path) -> None:
    path = toml(tmp_path, "[queue]\ncapacity = 0\n[intake]\nscan_seconds = 0")
    with pytest.raises(ConfigError) as raised:
        load(path, {"SEGDROP_LOG__LEVEL": "loud"})
    assert all(key in str(raised.value) for key in ("queue.capacity", "intake.scan_seconds", "log.level"))


@pytest.mark.parametrize("text", ["[queue]\ncapacty = 3\n[intake]\nscan_seconds = 0", "[queue"])
def test_unknown_keys_and_wrong_values_of_file_and_environment_are_named_together(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(toml(tmp_path, text), {"SEGDROP_FOO": "1", "SEGDROP_QUEUE__CAPACITY": "0"})
    message = str(raised.value)
    expected = ["SEGDROP_FOO", "queue.capacty", "queue.capacity", "intake.scan_seconds"]
    assert all(part in message for part in (expected if "intake" in text else ["SEGDROP_FOO", "not valid TOML"]))


def test_a_wrong_value_in_the_environment_names_its_key() -> None:
    with pytest.raises(ConfigError, match=r"queue\.capacity"):
        load(None, {"SEGDROP_QUEUE__CAPACITY": "x"})
    with pytest.raises(ConfigError, match="defaults"):
        load(None, {"SEGDROP_DEFAULTS": "{"})


@pytest.mark.parametrize("content", [b"[queue", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_is_not_toml_is_a_config_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(path)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xef\xbb\xbf[queue]\r\ncapacity = 3\r\n")
    assert load(path).queue.capacity == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[queue]\ncapacity = 3".encode("utf-16"), "it is UTF-16: save it as UTF-8"),
        ("[queue]\ncapacity = 3".encode("utf-16-le"), "it is UTF-16 (without a byte order mark)"),
        ("root = '/größe'".encode("cp1252"), "Windows-1252 (line 1 has the byte 0xF6, there 'ö')"),
        (b"[queue]\0", "zero bytes"),
        (b"a = " + b"[" * 100_000, "not valid TOML"),
    ],
)
def test_a_file_in_another_encoding_is_told_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert words in str(raised.value)
    assert "codec" not in str(raised.value)


def test_a_file_that_is_none_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 1 << 40)
    for name, words in (("fifo", "named pipe"), ("endless", "a device"), ("huge", "more than")):
        with pytest.raises(ConfigError, match=words):
            load(tmp_path / name)


def test_a_link_to_the_file_is_followed(tmp_path: Path) -> None:
    toml(tmp_path, "[queue]\ncapacity = 3").rename(tmp_path / "real.toml")
    (tmp_path / "link.toml").symlink_to("real.toml")
    assert load(tmp_path / "link.toml").queue.capacity == 3


def test_an_empty_root_is_refused_and_never_the_working_directory(tmp_path: Path) -> None:
    for path, variables in ((None, {"SEGDROP_ROOT": ""}), (toml(tmp_path, 'root = ""'), {})):
        with pytest.raises(ConfigError, match=r"`root` is '': .*it is empty"):
            load(path, variables)


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "gone.toml")
    with pytest.raises(ConfigError, match="directory"):
        load(None, {settings.CONFIG_VARIABLE: str(tmp_path)})


# the operator's request keys


def test_defaults_for_requests_come_from_file_and_environment_as_what_they_mean(tmp_path: Path) -> None:
    path = toml(tmp_path, '[defaults]\nlevel = 1\nclasses = ["cat"]')
    loaded = load(path, {"SEGDROP_DEFAULTS__IMAGE_SIZE": "[64, 96]", "SEGDROP_DEFAULTS__PRETRAINED": "none"})
    assert loaded.defaults == {"level": 1, "classes": ["cat"], "image_size": [64, 96], "pretrained": "none"}
    assert load(None, {"SEGDROP_DEFAULTS": '{"level": 2}'}).defaults == {"level": 2}


def test_a_misspelt_request_key_in_the_environment_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean `level`\?"):
        load(None, {"SEGDROP_DEFAULTS__LEVL": "1"})


# the model itself


@pytest.mark.parametrize(("key", "field"), list(fields()))
def test_every_setting_has_a_default_and_a_description(key: str, field: FieldInfo) -> None:
    assert not field.is_required()
    assert field.description, key
    assert field.description.endswith("."), key
    if field.annotation in (int, float) and isinstance(field.default, float):
        assert math.isfinite(field.default)


def test_keys_and_variables_are_one_to_one() -> None:
    keys = list(settings.keys())
    assert keys == [key for key, _field in fields()]
    variables = {settings.variable_name(key) for key in keys}
    assert len(variables) == len(keys)
    assert settings.variable_name("queue.capacity") == "SEGDROP_QUEUE__CAPACITY"


def test_every_setting_can_be_given_by_file_and_by_environment(tmp_path: Path) -> None:
    dumped = load().model_dump(mode="json")
    for key, _field in fields():
        section, _, name = key.rpartition(".")
        value = dumped[section][name] if section else dumped[name]
        if isinstance(value, dict):
            continue
        text = f'"{value}"' if isinstance(value, str) else str(value).lower()
        path = toml(tmp_path, f"[{section}]\n{name} = {text}" if section else f"{name} = {text}")
        assert tomllib.loads(path.read_text())
        assert load(path).model_dump(mode="json") == dumped, key
        assert load(None, {settings.variable_name(key): str(value)}).model_dump(mode="json") == dumped, key


def test_settings_cannot_be_changed_once_loaded() -> None:
    loaded = load()
    with pytest.raises(ValidationError):
        loaded.root = Path("/other")
    with pytest.raises(ValidationError):
        loaded.queue.capacity = 3


def test_what_children_are_told_about_limits_is_all_of_them() -> None:
    told = load().limits.for_child().model_dump()
    assert told == load().limits.model_dump(exclude={"check_seconds", "quick_check_seconds"})
