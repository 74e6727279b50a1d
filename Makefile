# `make help` lists the targets. Everything is installed into .venv, and only `install`, `uninstall` and
# `test-faults` (Debian packages) change anything outside this folder.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Inside the environment, so that removing it is enough to start again.
STAMP := $(VENV)/.setup.stamp
DEMO := demo
# From random weights, many small steps on many images learn more than the same time on fewer of both.
DEMO_IMAGES := 180
DEMO_REQUEST := {"image_size": 96, "epochs": 5, "batch_size": 4, "learning_rate": 8e-4, "augmentation": "flip", "force": true}

PREFIX ?= /usr/local
# PyTorch for CPUs: without this index pip also installs gigabytes of CUDA libraries.
PIP_ARGS ?= --extra-index-url https://download.pytorch.org/whl/cpu
# The unit names these two; elsewhere than there it would not find them.
APP := /opt/segdrop
SERVICE_ROOT := /srv/segdrop
# The group of those who drop files and read results. `make install PEOPLE=NAME` gives people one of their own, which the
# daemon's user joins; without it, a root that exists keeps its group, and a new one is shared with group segdrop.
PEOPLE ?=
# Lines for sysusers.d(5): the group, and the daemon's user in it.
PEOPLE_CONF = printf 'g %s -\nm segdrop %s\n' $(PEOPLE) $(PEOPLE)
INIT_SHARED = $(APP)/bin/segdrop init --owner segdrop --people $(or $(PEOPLE),segdrop) $(SERVICE_ROOT)
LIB := $(DESTDIR)$(PREFIX)/lib
ETC := $(DESTDIR)/etc/segdrop
# For the commands; the unit sets its own.
SYSTEM_TOML := sed 's|^root = .*|root = "$(SERVICE_ROOT)"|' config/segdrop.toml

.DEFAULT_GOAL := help
.PHONY: help setup format lint generated test test-property test-faults test-exchange test-slow bench bench-quick bench-tools run demo install activate uninstall deactivate

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(STAMP) ## make .venv and install segdrop and the development tools into it

# The development tools are read out of pyproject.toml: `pip install --group` needs pip 25.1.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")' > $(VENV)/dev.txt
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e . -r $(VENV)/dev.txt
	touch $@

format: setup ## reformat the code
	$(BIN)/ruff format daemon tests
	$(BIN)/ruff check --fix daemon tests

generated: setup ## write what the documentation has from the code: the schemas in config/, docs/request.md, docs/errors.md
	$(BIN)/python -m segdrop.cli.documentation

lint: setup ## check format, style, types and the direction of imports
	$(BIN)/ruff format --check daemon tests
	$(BIN)/ruff check daemon tests
	$(BIN)/mypy
	$(BIN)/lint-imports

# A process for each core: many tests wait for a daemon most of their time. The tests of one file stay together.
test: setup ## run all tests but those of the targets below
	$(BIN)/python -m pytest -q -n auto --dist loadfile -m "not faults and not exchange and not slow"

test-property: setup ## read 5,000 generated datasets with an oddity or two (some minutes)
	READINGS=5000 $(BIN)/python -m pytest -q tests/property/test_readings.py

test-faults: setup ## run the tests with kills, full disks, real clients and services (as root, for all of them)
	tests/faults/install-packages.sh
	$(BIN)/python -m pytest -q -m faults tests/faults

test-slow: setup ## run the tests with trainings of minutes
	$(BIN)/python -m pytest -q -m slow tests/acceptance

# Datumaro wants an older Pillow than we do: an environment of its own, inside ours.
test-exchange: setup ## read back what another program writes in six formats, and have tools read our pre-labels
	test -x $(VENV)/exchange/bin/python || $(PYTHON) -m venv $(VENV)/exchange
	$(VENV)/exchange/bin/python -m pip install -q --disable-pip-version-check datumaro==1.13.12 labelme==6.3.1 label-studio-sdk==2.1.2
	$(BIN)/python -m pytest -q -m exchange tests/exchange

bench: bench-tools ## measure speed and learning against others, in turn (an hour and a half or more; wants a quiet machine)
	PYTHONPATH=tests $(BIN)/python -m bench build/bench $(BENCH_ARGS)

bench-quick: bench-tools ## measure speed only (some minutes)
	PYTHONPATH=tests $(BIN)/python -m bench build/bench --quick $(BENCH_ARGS)

# The others' programs are needed for nothing else.
bench-tools: setup
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["bench"], sep="\n")' > $(VENV)/bench.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -r $(VENV)/bench.txt

run: setup ## run the daemon on ./segdrop, until Ctrl-C
	$(BIN)/segdrop run

# The request first, the ZIP last: that is the order in which people should copy, too.
demo: setup ## train on a small generated dataset, in ./demo, and show what comes out
	$(BIN)/segdrop init $(DEMO)
	echo '$(DEMO_REQUEST)' > $(DEMO)/inbox/demo.json
	$(BIN)/segdrop demo $(DEMO)/inbox/demo.zip --count $(DEMO_IMAGES)
	$(BIN)/segdrop once --root $(DEMO)
	ls -lh $(DEMO)/outbox
	$(BIN)/segdrop jobs --root $(DEMO)
	$(BIN)/segdrop show --root $(DEMO) "$$(basename "$$(ls -t $(DEMO)/outbox/demo-*.json | head -n 1)" .json)"

# Settings that are there already stay. With DESTDIR (packages), files are laid out and nothing is run: the package then
# has to bring a virtual environment in $(APP), and to do what `activate` does.
install: ## install as a service: files below PREFIX (/usr/local) and /etc, segdrop into /opt/segdrop; DESTDIR= for packages, PEOPLE= for a group of their own
	install -D -m 644 systemd/segdrop.service $(LIB)/systemd/system/segdrop.service
	install -D -m 644 systemd/segdrop.sysusers.conf $(LIB)/sysusers.d/segdrop.conf
	install -D -m 644 systemd/segdrop.tmpfiles.conf $(LIB)/tmpfiles.d/segdrop.conf
	$(if $(PEOPLE),rm -f $(LIB)/sysusers.d/segdrop-people.conf)
	$(if $(filter-out segdrop,$(PEOPLE)),$(PEOPLE_CONF) > $(LIB)/sysusers.d/segdrop-people.conf)
	install -d $(DESTDIR)$(PREFIX)/bin $(ETC)
	ln -sfn $(APP)/bin/segdrop $(DESTDIR)$(PREFIX)/bin/segdrop
	test -e $(ETC)/segdrop.toml || { $(SYSTEM_TOML) > $(ETC)/segdrop.toml && chmod 644 $(ETC)/segdrop.toml; }
	test -e $(ETC)/segdrop.env || install -m 600 config/segdrop.env.example $(ETC)/segdrop.env
	$(if $(DESTDIR),,$(MAKE) --no-print-directory activate)

# A root that exists is mended, as root because the service may not set setgid bits. A folder that is no root yet is left
# alone, and so is one that fstab mounts something on: made below a mount point, a root would be taken for the share as
# long as that is not there.
activate:
	@python=$(APP)/bin/python; test -x $$python || python=$(PYTHON); \
	case "$$($$python -c 'import sys; print(sys.base_prefix)')/" in /home/*|/root/*|/run/user/*) \
		echo "$$python is in a home directory, which the service cannot see: make install PYTHON=/usr/bin/python3" >&2; \
		exit 1;; esac
	test -x $(APP)/bin/python || $(PYTHON) -m venv $(APP)
	$(APP)/bin/python -m pip install --disable-pip-version-check -c constraints.txt $(PIP_ARGS) .
	systemd-sysusers $(PREFIX)/lib/sysusers.d/segdrop.conf $(wildcard $(PREFIX)/lib/sysusers.d/segdrop-people.conf)
	systemd-tmpfiles --create $(PREFIX)/lib/tmpfiles.d/segdrop.conf
	if test -d /run/systemd/system; then systemctl daemon-reload; fi
	chmod -c go= $(ETC)/segdrop.env
	@if test -e $(SERVICE_ROOT)/.segdrop-root; then \
		$(if $(PEOPLE),$(INIT_SHARED),$(APP)/bin/segdrop init $(SERVICE_ROOT)) || \
		echo "$(SERVICE_ROOT) could not be mended as root: \`segdrop doctor\` says what is left to do"; \
	elif test -e $(SERVICE_ROOT) || findmnt --fstab --mountpoint $(SERVICE_ROOT) >/dev/null 2>&1; then \
		echo "$(SERVICE_ROOT) is left as it is. If it is new: mount it, and make its folders:"; \
		echo "  $(INIT_SHARED)"; \
	else \
		$(INIT_SHARED); \
	fi
	@echo "next: segdrop models fetch deeplabv3_resnet50, segdrop doctor, systemctl enable --now segdrop"

uninstall: ## remove what `install` installed; settings that were changed, the user and the root stay
	$(if $(DESTDIR),,$(MAKE) --no-print-directory deactivate)
	rm -f $(LIB)/systemd/system/segdrop.service $(LIB)/sysusers.d/segdrop.conf $(LIB)/tmpfiles.d/segdrop.conf
	rm -f $(LIB)/sysusers.d/segdrop-people.conf
	rm -f $(DESTDIR)$(PREFIX)/bin/segdrop
	test ! -e $(ETC)/segdrop.env || ! cmp -s config/segdrop.env.example $(ETC)/segdrop.env || rm -f $(ETC)/segdrop.env
	test ! -e $(ETC)/segdrop.toml || ! $(SYSTEM_TOML) | cmp -s - $(ETC)/segdrop.toml || rm -f $(ETC)/segdrop.toml
	@for folder in $(LIB)/systemd/system $(LIB)/systemd $(LIB)/sysusers.d $(LIB)/tmpfiles.d $(ETC); do \
		test ! -d $$folder || rmdir --ignore-fail-on-non-empty $$folder; \
	done
	@test ! -d $(ETC) || echo "left, because it was changed: $(ETC)"
	$(if $(DESTDIR),,if test -d /run/systemd/system; then systemctl daemon-reload; fi)

deactivate:
	if test -d /run/systemd/system; then systemctl disable --now segdrop; fi
	if test -e $(APP)/pyvenv.cfg; then rm -rf $(APP); fi
