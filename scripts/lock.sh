#!/bin/sh
# Resolve the locks anew: hashes for CPython 3.11 to 3.13, no addresses, no paths.
set -eu
compile() {
    uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
        --no-header --no-annotate "$@" >/dev/null
}
compile --all-extras -o requirements/dev.txt pyproject.toml
printf 'setuptools\n' | compile -c requirements/dev.txt -o requirements/run.txt pyproject.toml -
compile -c requirements/dev.txt --extra plots -o requirements/plots.txt pyproject.toml
