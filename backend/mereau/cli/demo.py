"""`mereau demo`: a fresh directory, the whole stack, and a story told on it (see `story`)."""

import json
import shutil
import sys
from pathlib import Path
from typing import Final

from mereau.cli.stack import become_supervisor, plan_of, settings_of
from mereau.cli.state import running
from mereau.core.errors import ConfigurationError
from mereau.core.layout import Layout

PROGRAMME: Final = {
    "external_id": "mereau-demo",
    "name_fr": "Mereau démo",
    "name_en": "Mereau demo",
    "token_name": "Méreau",
    "token_symbol": "MEREAU",
    "currency": "EUR",
    # Tokens count at once, so that returns are reversed on chain.
    "activation_delay_s": 0,
}


def run_demo(data_dir: Path, *, port: int | None, chain_port: int, serve: bool, as_json: bool) -> None:
    """Become the supervisor of a demo. ConfigurationError where the directory is somebody's, or in use."""
    settings = settings_of(data_dir)
    # The demo is its own world: servers that the environment names are not touched.
    settings = settings.model_copy(
        update={"database_url": None, "chain_url": None, "port": settings.port if port is None else port}
    )
    layout = Layout(settings.data_dir)
    _make_afresh(layout)
    layout.programme.write_text(json.dumps(PROGRAMME))
    plan = plan_of(settings, with_api=True, chain_port=chain_port)
    arguments = ["-m", "mereau.cli.story", str(layout.root), *(["--json"] if as_json else [])]
    become_supervisor(plan.telling([sys.executable, *arguments], serve=serve))


def _make_afresh(layout: Layout) -> None:
    """An empty directory with the mark of a demo; removes a former demo's, and nothing else."""
    if layout.root.exists() and any(layout.root.iterdir()):
        if not layout.demo_mark.exists():
            raise ConfigurationError(
                f"{layout.root} holds something that is no Mereau demo. Name another one with --data-dir."
            )
        if (state := running(layout)) is not None:
            raise ConfigurationError(
                f"A demo runs on {layout.root} (process {state.pid}, {state.api_url}). Stop it with: kill {state.pid}"
            )
        shutil.rmtree(layout.root)
    layout.root.mkdir(parents=True, exist_ok=True)
    layout.demo_mark.touch()
