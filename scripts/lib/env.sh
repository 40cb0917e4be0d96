# Sourced by every command of this folder: makes the project's own environment in .venv, once.
# Usage: source env.sh runtime|dev. Needs Python >= 3.11 and pip; nothing else, and no root.
# A second run only compares two hashes.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
VENV="$ROOT/.venv"
export PATH="$VENV/bin:$PATH"

mereau_say() { printf '%s\n' "$*" >&2; }

mereau_find_python() {
  local candidate
  for candidate in "${MEREAU_PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"; return 0
    fi
  done
  mereau_say "Mereau needs Python 3.11 or newer. Install it, or name it: MEREAU_PYTHON=/path/to/python3 $0"
  return 1
}

mereau_install() { # mereau_install PYTHON LOCK: the exact locked set, hashes checked, then the project itself
  local python="$1" lock="$2"
  if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$VENV/bin/python" --require-hashes -r "$lock" &&
      uv pip install --quiet --python "$VENV/bin/python" --no-deps --no-build-isolation -e "$ROOT"
  else
    # pip of the outer Python installs into the environment, so Debian's missing ensurepip does not matter.
    "$python" -m pip --python "$VENV/bin/python" install --quiet --disable-pip-version-check \
      --no-warn-script-location --require-hashes -r "$lock" &&
      "$python" -m pip --python "$VENV/bin/python" install --quiet --disable-pip-version-check \
        --no-warn-script-location --no-deps --no-build-isolation -e "$ROOT"
  fi
}

mereau_bootstrap() { # mereau_bootstrap runtime|dev
  local level="$1" lock want have python
  lock="$ROOT/scripts/lock/$level.txt"
  want="$level $(cat "$lock" "$ROOT/pyproject.toml" | sha256sum | cut -d' ' -f1) $ROOT"
  for have in "$VENV/.installed-$level" "$VENV/.installed-dev"; do
    # The dev set contains the runtime set, so its stamp answers for both.
    [ -f "$have" ] || continue
    [ "$(cat "$have")" = "$want" ] && return 0
    [ "$level" = runtime ] && [ "$have" = "$VENV/.installed-dev" ] && [ "$(cat "$have")" = \
      "dev $(cat "$ROOT/scripts/lock/dev.txt" "$ROOT/pyproject.toml" | sha256sum | cut -d' ' -f1) $ROOT" ] && return 0
  done
  python="$(mereau_find_python)" || return 1
  mereau_say "Preparing .venv ($level set, once; needs a package registry) ..."
  ( # Two commands started together must not build the same folder.
    if command -v flock >/dev/null 2>&1; then exec 9>"$ROOT/.venv.lock"; flock 9; fi
    [ -f "$VENV/.installed-$level" ] && [ "$(cat "$VENV/.installed-$level")" = "$want" ] && exit 0
    rm -f "$VENV"/.installed-*
    [ -x "$VENV/bin/python" ] || "$python" -m venv --without-pip "$VENV" || exit 1
    mereau_install "$python" "$lock" || exit 1
    printf '%s' "$want" >"$VENV/.installed-$level"
  ) || { mereau_say "The environment could not be prepared. Check the registry, or remove .venv and run again."; return 1; }
}

mereau_bootstrap "${1:?runtime or dev}" || exit 1
