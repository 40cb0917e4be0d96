"""Style is a test: sizes, names, words and places that a reviewer would otherwise say twice."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BACKEND = ROOT / "backend"
LINES_MAX = 400
FUNCTION_LINES_MAX = 70
TOP_LEVEL = {
    "pyproject.toml", "contracts", "backend", "scripts", "tests", "README.md",
    "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "docs", ".ci", ".gitignore",
}  # fmt: skip

SQL_MAKERS = {"select", "insert", "update", "delete", "text"}
FEATURES = {
    "outbox", "journal", "programs", "members", "partners", "wallets", "ledger", "earning", "rewards", "auth", "sales",
    "segments", "tiers",
}  # fmt: skip
VOCABULARY = {
    "__init__", "domain", "models", "repository", "queries", "service", "schemas", "endpoints", "tasks",
    "events", "errors",
}  # fmt: skip
EXTRA_WORDS = {
    "auth": {"dependencies", "idempotency", "once"},
    "wallets": {"keystore", "signing", "derivation"},
}


def tracked(*patterns: str) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in listing.stdout.splitlines() if (ROOT / line).is_file()]


def code_files() -> list[Path]:
    generated = BACKEND / "mereau" / "migrations" / "versions"
    return [
        path
        for path in tracked("*.py", "*.sol", "scripts/*")
        if path.suffix != ".txt" and generated not in path.parents
    ]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def too_long(path: Path) -> list[str]:
    """Findings of one Python file; a function's length counts from its `def` to its last line."""
    findings = []
    lines = len(path.read_text().splitlines())
    if lines > LINES_MAX:
        findings.append(f"{path.name}: {lines} lines")
    if path.suffix == ".py":
        findings += [
            f"{path.name}:{node.lineno} {node.name}: {length} lines"
            for node in functions(path)
            if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
        ]
    return findings


def test_top_level_is_fixed() -> None:
    present = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert present <= TOP_LEVEL
    assert {"pyproject.toml", "contracts", "backend", "scripts", "tests", "README.md"} <= present


def test_files_and_functions_are_small() -> None:
    assert [finding for path in code_files() for finding in too_long(path)] == []


def test_a_long_function_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX)
    assert too_long(path) == ["long.py:1 f: 71 lines"]


def test_feature_folders_keep_to_the_vocabulary() -> None:
    strange = [
        str(path.relative_to(ROOT))
        for feature in FEATURES
        for path in (BACKEND / "mereau" / feature).rglob("*.py")
        if path.stem not in VOCABULARY | EXTRA_WORDS.get(feature, set())
    ]
    assert strange == []


def test_every_function_is_annotated() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in tracked("backend/*.py")
        if "migrations" not in path.parts
        for node in functions(path)
        if node.returns is None
    ]
    assert bare == []


def test_only_the_transaction_commits() -> None:
    """One request, job or chain step is one transaction, and core.db ends it."""
    callers = [
        str(path.relative_to(ROOT))
        for path in tracked("backend/mereau/*.py")
        if re.search(r"\.commit\(\)", path.read_text()) and path.name != "store.py"
    ]
    assert callers == []


def table_owners() -> dict[str, str]:
    owners = {}
    for path in tracked("backend/mereau/*/models.py"):
        for name in re.findall(r'__tablename__ = "(\w+)"', path.read_text()):
            owners[name] = path.relative_to(BACKEND / "mereau").parts[0]
    return owners


def sql_tables(path: Path) -> set[str]:
    """Names that follow FROM, JOIN, INTO or UPDATE in the SQL texts of a file."""
    texts = [
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    statements = [
        text for text in texts if re.match(r"\s*(select|insert|update|delete|with|copy)\b", text, re.IGNORECASE)
    ]
    return {
        name for text in statements for name in re.findall(r"(?i)\b(?:from|join|into|update|copy)\s+\"?([a-z_]+)", text)
    }


def test_a_table_is_named_in_its_owners_folder_only() -> None:
    """Raw SQL that names another package's table would go round its owner's rules."""
    owners = table_owners()
    assert len(owners) >= 30
    strays = [
        f"{path.relative_to(ROOT)} names {table} of {owners[table]}"
        for path in tracked("backend/mereau/*.py")
        for table in sorted(sql_tables(path) & owners.keys())
        if path.relative_to(BACKEND / "mereau").parts[0] not in {owners[table], "migrations"}
    ]
    assert strays == []


def test_a_strange_table_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "stray.py"
    path.write_text('QUERY = "select tokens from lots join entries on true"')
    assert sql_tables(path) == {"lots", "entries"}


def test_only_repositories_speak_sql() -> None:
    """select(), insert(), update(), delete() and text() of SQLAlchemy stay in the files made for them.

    `activity` and `revision` of core ask PostgreSQL about itself, not about anybody's rows.
    """
    allowed = {"repository", "queries", "migrate", "db", "activity", "revision"}
    strays = []
    for path in tracked("backend/mereau/*.py"):
        package = path.relative_to(BACKEND / "mereau").parts[0]
        if package in {"migrations", "chain"} or path.stem in allowed:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sqlalchemy":
                names = {alias.name for alias in node.names} & {
                    "select",
                    "insert",
                    "update",
                    "delete",
                    "text",
                }
                if names and path.name != "models.py":
                    strays.append(f"{path.relative_to(ROOT)}: {sorted(names)}")
    assert strays == []


def test_notes_name_an_issue() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?! #\d+)")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in code_files()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if marks.search(line)
    ]
    assert found == []


def test_nothing_names_a_machine_or_a_registry() -> None:
    hosts = ["py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "debian" + ".org"]
    paths = ["/work" + "/", "/root" + "/", "/home" + "/"]
    pattern = re.compile("|".join(re.escape(word) for word in hosts + paths))
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        if path.suffix not in {".gz", ".png", ".svg"}
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("script", ["up", "demo", "test", "check", "fix", "bench", "plots", "simulate"])
def test_scripts_say_what_they_do(script: str) -> None:
    path = ROOT / "scripts" / script
    assert path.stat().st_mode & 0o111, f"{script} is not executable"
    assert path.read_text().splitlines()[1].startswith("# ")


def test_tests_outweigh_the_source() -> None:
    def lines(*patterns: str) -> int:
        return sum(
            1
            for path in tracked(*patterns)
            if "versions" not in path.parts
            for line in path.read_text().splitlines()
            if line.strip()
        )

    helpers = lines("contracts/test/*.sol")
    source, tests = lines("backend/*.py", "contracts/*.sol") - helpers, lines("tests/*.py") + helpers
    assert tests >= 1.3 * source, f"{tests} lines of tests for {source} of source"
