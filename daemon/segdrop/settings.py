"""The operator's settings: TOML and environment, parsed once, frozen, passed down.

Precedence: command line > environment ``SEGDROP_SECTION__KEY`` > TOML file > the defaults here. Unknown keys
are refused in both, with the nearest valid one. ``config/segdrop.toml`` documents every key and is tested to
equal the defaults. A settings object that is made without :func:`load` looks at neither file nor environment.
"""

import errno
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from segdrop import regular_files, request, spec, text_faults
from segdrop.errors import ConfigError, DataError

ENV_PREFIX = "SEGDROP_"
CONFIG_VARIABLE = "SEGDROP_CONFIG"
#: Largest settings file that is read; ours has a few kilobytes.
MAX_FILE_BYTES = 2**20
SYSTEM_CONFIG_PATH = Path("/etc/segdrop/segdrop.toml")
#: Variables of ours that are no settings.
_OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, "SEGDROP_PARENT_PID", "SEGDROP_PARENT_VERSION"})

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Bytes = Annotated[int, Field(gt=0)]
_MIB, _GIB = 2**20, 2**30


class Section(BaseModel):
    """A table of the settings file. Keys that it does not have are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServiceSettings(Section):
    """How the daemon starts and stops."""

    require_sentinel: bool = Field(
        default=False, description="Refuse a root without .segdrop-root: it is an unmounted share."
    )
    stop_seconds: Seconds = Field(60.0, description="Time for a child to save its state when the daemon stops.")


class IntakeSettings(Section):
    """When the daemon looks into the inbox, and when a file there counts as complete."""

    scan_seconds: Seconds = Field(2.0, description="Time between two scans of the inbox.")
    watch: bool = Field(default=True, description="Let file events wake the scan early. Never needed.")
    settle_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        5.0, description="How long a complete ZIP and its sidecar must be unchanged before they are taken."
    )
    incomplete_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        300.0,
        description="How long a ZIP that looks incomplete must be unchanged before it is answered as truncated.",
    )


class QueueSettings(Section):
    """How many jobs may wait, and how much free space a job needs."""

    capacity: Annotated[int, Field(ge=1, le=10_000)] = Field(
        8, description="Claimed jobs that wait for training; what does not fit waits in the inbox."
    )
    reserve_bytes: Annotated[int, Field(ge=0)] = Field(
        2 * _GIB,
        description="Free space without which no job is claimed or started: checkpoints, weights, model and result.",
    )


class LimitSettings(Section):
    """What a ZIP may hold, and what the process that reads it may use."""

    max_archive_bytes: Bytes = Field(50 * _GIB, description="Size of a ZIP.")
    max_extracted_bytes: Bytes = Field(100 * _GIB, description="Size of all members of a ZIP together, unpacked.")
    max_member_bytes: Bytes = Field(2 * _GIB, description="Size of one image or annotation file, unpacked.")
    max_entries: Annotated[int, Field(ge=1)] = Field(500_000, description="Members of a ZIP.")
    max_ratio: Annotated[int, Field(ge=2)] = Field(
        200,
        description="Unpacked to packed size of text over 16 MiB, and of an image whose header does not explain it.",
    )
    max_image_pixels: Annotated[int, Field(ge=1)] = Field(100_000_000, description="Pixels of one image.")
    quick_check_seconds: Seconds = Field(
        20.0, description="Time for the quick check of one ZIP; one that takes longer waits for the full check."
    )
    check_memory_bytes: Bytes = Field(4 * _GIB, description="Address space of the process that reads ZIPs.")
    check_cpu_seconds: Annotated[int, Field(ge=1)] = Field(14_400, description="CPU time for the check of one ZIP.")
    check_seconds: Seconds = Field(28_800.0, description="Time for the check of one ZIP.")
    max_json_bytes: Bytes = Field(256 * _MIB, description="Size of a JSON with images.")
    max_json_images: Annotated[int, Field(ge=1)] = Field(1_000, description="Images in one JSON.")
    max_video_frames: Annotated[int, Field(ge=1)] = Field(
        216_000, description="Frames of one video; two hours at 30 a second."
    )
    max_video_pixels: Annotated[int, Field(ge=1)] = Field(
        35_651_584,
        description="Pixels of one frame; 8K, the most of level 6.2 of H.264 and HEVC, whose decoders keep 16 frames.",
    )
    max_output_bytes: Bytes = Field(
        20 * _GIB, description="Size of all files of one result together, before they are packed."
    )

    def for_child(self) -> spec.Limits:
        """Returns the limits that the child which reads a ZIP has to keep itself."""
        return spec.Limits.model_validate(self.model_dump(exclude={"check_seconds", "quick_check_seconds"}))


class TrainingSettings(Section):
    """What the training process may use, and when it is started again or given up."""

    threads: Annotated[int, Field(ge=0)] = Field(
        0, description="Threads of the training process; 0: what the CPU affinity and the cgroup quota allow."
    )
    nice: Annotated[int, Field(ge=0, le=19)] = Field(
        10, description="Niceness of the training process, so that checks are answered while it runs."
    )
    stall_seconds: Seconds = Field(
        1800.0, description="Without progress for so long, the training process is ended and started again."
    )
    max_seconds: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Longest time for one attempt at training; 0: no limit."
    )
    max_attempts: Annotated[int, Field(ge=1, le=100)] = Field(
        3, description="How often training is started without coming further, before the job fails."
    )


class InferenceSettings(Section):
    """What is predicted with where no request says it."""

    default_model: str = Field(
        "",
        max_length=200,
        description="Model of images, videos and JSON files that come without a request: a job id, or a name in "
        "models/; empty: they wait for a request.",
    )


class RetentionSettings(Section):
    """How many days finished things are kept."""

    done_days: Annotated[float, Field(ge=0)] = Field(0.0, description="Keep inputs in done/ so long; 0: for good.")
    failed_days: Annotated[float, Field(ge=0)] = Field(0.0, description="Keep failed/ so long; 0: for good.")
    outbox_days: Annotated[float, Field(ge=0)] = Field(0.0, description="Keep results so long; 0: for good.")


class LogSettings(Section):
    """How the log is written, and how much of it."""

    format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: readable on a terminal, JSON lines elsewhere."
    )
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity logged.")


@dataclass(frozen=True, slots=True)
class _Sources:
    """The file and the environment that settings are read from."""

    path: Path | None
    environ: Mapping[str, str]


#: Sources of the settings that are being loaded. pydantic-settings asks the class for its sources, so they cannot be
#: passed to it as arguments.
_sources: ContextVar[_Sources | None] = ContextVar("sources", default=None)


class Settings(BaseSettings):
    """All settings. Build them with :func:`load`."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix=ENV_PREFIX, env_nested_delimiter="__")

    root: Path = Field(Path("segdrop"), description="The folder that holds inbox/, outbox/ and the others.")
    service: ServiceSettings = ServiceSettings()
    intake: IntakeSettings = IntakeSettings()
    queue: QueueSettings = QueueSettings()
    limits: LimitSettings = LimitSettings()
    training: TrainingSettings = TrainingSettings()
    inference: InferenceSettings = InferenceSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()
    defaults: dict[str, Any] = Field({}, description="Request keys, with the value where a request has none.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (reads the process's environment only)
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Returns the sources in their order of precedence; the defaults of the model follow them."""
        given = _sources.get()
        if given is None:
            return (init_settings,)
        return init_settings, _Environment(settings_cls, given.environ), _TomlFile(settings_cls, given.path)

    @field_validator("root", mode="before")
    @classmethod
    def _refuse_an_empty_root(cls, value: object) -> object:
        """An empty name would mean the working directory."""
        if value == "":
            raise ValueError("it is empty: name a folder, or leave it out")
        return value

    @field_validator("defaults", mode="before")
    @classmethod
    def _from_environment(cls, value: object) -> object:
        """Environment variables are text: ``SEGDROP_DEFAULTS__LEVEL=1`` means the number."""
        if not isinstance(value, dict):
            return value
        return {str(key).lower(): decoded(item) for key, item in value.items()}

    @field_validator("defaults")
    @classmethod
    def _valid_request(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            return request.validated_defaults(value)
        except (DataError, TypeError) as error:  # TypeError: TOML knows dates, JSON does not
            raise ValueError(str(error)) from error


class _Environment(EnvSettingsSource):
    """The settings among the variables given. Names that are no settings are refused elsewhere, see :func:`load`."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._environ = {name.lower(): value for name, value in environ.items() if _is_setting(name)}
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._environ


class _TomlFile(TomlConfigSettingsSource):
    """The settings file. What cannot be read is told in words, and a key has one spelling."""

    def _read_files(self, files: object, deep_merge: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002
        return _read_toml(Path(str(files))) if files is not None else {}

    def __call__(self) -> dict[str, Any]:
        """Returns what stands in the file: the library would take ``ROOT`` for ``root``."""
        return self.toml_data


def decoded(value: object) -> object:
    """Returns the JSON value that a text stands for. What is no JSON is returned as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def keys() -> Iterator[str]:
    """Yields every setting as a dotted key."""
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            yield from (f"{name}.{key}" for key in section.model_fields)
        else:
            yield name


def config_path(explicit: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Returns the TOML file to read: the one given, the one that a variable names, or the system's where it exists."""
    if explicit is not None:
        return explicit
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    return SYSTEM_CONFIG_PATH if SYSTEM_CONFIG_PATH.is_file() else None


def load(
    explicit_config: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Reads and validates all sources. Raises ``ConfigError``, which names everything that is wrong at once."""
    variables = os.environ if environ is None else environ
    path = config_path(explicit_config, variables)
    wrong = list(_unknown_variables(variables))
    token = _sources.set(_Sources(path, variables))
    try:
        loaded = Settings(**(overrides or {}))
    except (ConfigError, SettingsError, ValidationError) as error:
        raise ConfigError("\n".join([*wrong, *_explain(error, path)])) from error
    finally:
        _sources.reset(token)
    if wrong:
        raise ConfigError("\n".join(wrong))
    return loaded


def _read_toml(path: Path) -> dict[str, Any]:
    """The file's values; ``ConfigError`` where it cannot be read, or is no TOML."""
    try:
        content = _content(path)
    except OSError as error:
        raise ConfigError(f"cannot read the settings: {path}: {error.strerror}") from error
    if foreign := text_faults.encoding_fault(content):
        raise ConfigError(f"{path} is not valid TOML: {foreign}")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{path} is not valid TOML: it is nested too deeply") from error


def _content(path: Path) -> bytes:
    """The bytes of a regular file. A link was named by the operator, and is followed; a FIFO is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as stream:
        if kind := regular_files.kind_of(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, f"it is {kind}, not a regular file")
        content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {MAX_FILE_BYTES} bytes")
    return content


def variable_name(key: str) -> str:
    """Returns the environment variable of a dotted key."""
    return ENV_PREFIX + key.upper().replace(".", "__")


def _is_setting(variable: str) -> bool:
    """Whether a variable gives a setting, or a single request key, which is checked as such."""
    return variable in map(variable_name, keys()) or variable.startswith(f"{variable_name('defaults')}__")


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    spellings = {variable_name(key).lower(): key for key in keys()}
    for variable in environ:
        if not variable.startswith(ENV_PREFIX) or variable in _OTHER_VARIABLES or _is_setting(variable):
            continue
        guess = request.nearest(variable, spellings)
        hint = f"; did you mean {guess.upper()}?" if guess else ""
        yield f"environment: config.unknown_key: {variable} is not a setting{hint}"


def _explain(error: ConfigError | SettingsError | ValidationError, path: Path | None) -> Iterator[str]:
    """A line for each thing that is wrong. An unknown key can only stand in the file: see :class:`_Environment`."""
    if not isinstance(error, ValidationError):
        yield str(error) if isinstance(error, ConfigError) else f"config.invalid_value: {error}"
        return
    for detail in error.errors(include_url=False):
        key = ".".join(map(str, detail["loc"]))
        if detail["type"] == "extra_forbidden":
            yield f"{path}: {_unknown_key(key)}"
        else:
            yield f"config.invalid_value: `{key}` is {detail['input']!r}: {detail['msg']}"


def _unknown_key(key: str) -> str:
    sections = [] if "." in key else list(Settings.model_fields)
    guess = request.nearest(key, [*keys(), *sections])
    return f"config.unknown_key: `{key}` is not a setting" + (f"; did you mean `{guess}`?" if guess else "")


def sources(explicit_config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> dict[str, str]:
    """Returns where each setting's value comes from, by dotted key."""
    path = config_path(explicit_config, environ)
    toml = _read_toml(path) if path is not None else {}
    return {key: _source(key, toml, _Sources(path, environ), overrides) for key in keys()}


def _source(key: str, toml: Mapping[str, Any], given: _Sources, overrides: Mapping[str, Any]) -> str:
    section, _, name = key.rpartition(".")
    variable = variable_name(key)
    if key in overrides:
        return "command line"
    if any(found == variable or found.startswith(f"{variable}__") for found in given.environ):
        return f"environment {variable}"
    return str(given.path) if name in (toml.get(section, {}) if section else toml) else "default"
