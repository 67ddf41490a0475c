"""How the code hangs together: sizes, the direction of imports, pyvene in one place, pages that name every module.

Each rule is a function over a folder, so that the last tests can show it a tree that breaks it.
"""
import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import pyvene
import torch
import yaml
from conftest import ROOT

import utils

MOST_MODULES, MOST_LINES, MOST_LINES_OF_UTILS = 10, 250, 2750
MAY_IMPORT = {"utils": {"utils"}, "studies": {"studies", "utils"}, "workshop": {"workshop", "utils"},
              "book": {"book", "studies", "utils"}, "notebooks": {"studies", "utils"}}
OURS = {*MAY_IMPORT, "tests"}
LAYERS = (  # each imports only from those before it
    "utils", "utils.validation", "utils.data_utils", "utils.counterfactual_data_utils", "utils.ceiling_utils",
    "utils.running.guard", "utils.running.whole", "utils.running.files", "utils.model_utils", "utils.checkpoint_utils",
    "utils.interventions.rotation", "utils.interventions.layers", "utils.interventions.rotated_space",
    "utils.interventions.build", "utils.interventions.passes", "utils.interventions.checkpoints",
    "utils.das_utils",
    "utils.measure_utils", "utils.measures.readout", "utils.measures.response", "utils.measures.alignment",
    "utils.plot_utils", "utils.diagram_utils",
    "utils.checks.helpers",
    "utils.checks.tools.running", "utils.checks.tools.variants", "utils.checks.tools.draws",
    "utils.checks.tools.contents", "utils.checks.tools.scores", "utils.checks.tools.probing",
    "utils.checks.tools.fronts", "utils.checks.tools.files", "utils.checks.tools.curves",
    "utils.checks.tools.trainings",
    "utils.checks.known.correlations", "utils.checks.known.isolation", "utils.checks.known.flips",
    "utils.checks.known.intervals", "utils.checks.known.choices", "utils.checks.known.apart",
    "utils.checks.known.doses",
    "utils.checks.parts.losses", "utils.checks.parts.answers", "utils.checks.parts.shares", "utils.checks.parts.models",
    "utils.checks.parts.training", "utils.checks.parts.swaps", "utils.checks.parts.bases", "utils.checks.parts.joint",
    "utils.checks.parts.tables", "utils.checks.parts.replays",
    "utils.checks.data", "utils.checks.das", "utils.checks.iit", "utils.checks.steps", "utils.checks.multi",
    "utils.checks.measures", "utils.checks.sweep", "utils.checks.own", "utils.checks.rivals",
    "utils.explorer.view", "utils.explorer.picture", "utils.explorer.widget",
)
PYVENE_HOME, PV_HOME = "utils.interventions", "utils.interventions.rotated_space"


def find_modules(root, *packages):
    """Dotted name -> path of every module; a package's own name stands for its __init__, if that holds anything."""
    found = {}
    for path in sorted(path for package in packages for path in (root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[-1] != "__init__":
            found[".".join(parts)] = path
        elif path.read_text(encoding="utf-8").strip():
            found[".".join(parts[:-1])] = path
    return found


def find_imports(source, modules=()):
    """What a source imports, inside of functions too; of ``from package import module`` the module."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name the whole path"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in names}
    return found


def crowded_folders(root):
    folders = {path.parent for path in find_modules(root, "utils", "studies").values()}
    counts = {folder: len([path for path in folder.glob("*.py") if path.stem != "__init__"]) for folder in folders}
    return [f"{folder.relative_to(root)}: {n} modules" for folder, n in counts.items() if n > MOST_MODULES]


def long_modules(root):
    lines = {name: path.read_text(encoding="utf-8").splitlines()
             for name, path in find_modules(root, "utils", "studies").items()}
    core = sum(len(list(filter(str.strip, text))) for name, text in lines.items()
               if re.match(r"utils(?!\.(checks|explorer)\.)", name))
    return [f"{name}: {len(text)} lines" for name, text in lines.items() if len(text) > MOST_LINES] + [
        f"utils without checks and explorer: {core} lines that are not blank"] * (core > MOST_LINES_OF_UTILS)


def wrong_directions(root):
    """Imports from a package that lies above the importing one."""
    modules = find_modules(root, *OURS)
    found = [(name, name.split(".")[0], find_imports(path.read_text(encoding="utf-8"), modules))
             for name, path in modules.items()]
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        code = "\n".join(re.sub(r"^[%!].*$", "", source, flags=re.M) for source in cells)
        found.append((path.name, "notebooks", find_imports(code, modules)))
    return [f"{name} imports {other}" for name, package, imports in found if package in MAY_IMPORT
            for other in sorted(imports) if other.split(".")[0] in OURS - MAY_IMPORT[package]]


def cycles(root):
    """Modules that import each other, by way of others or not."""
    modules = find_modules(root, "utils", "studies")
    left = {name: find_imports(path.read_text(encoding="utf-8"), modules) & modules.keys()
            for name, path in modules.items()}
    while free := [name for name, imports in left.items() if not imports & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


def out_of_layer(root, layers=LAYERS):
    """Modules of utils that no layer names, layers without a module, and imports from a later layer."""
    modules = find_modules(root, "utils")
    wrong = [f"{name} stands only in one of LAYERS and utils/" for name in sorted(set(layers) ^ modules.keys())]
    for name in layers:
        imports = find_imports(modules[name].read_text(encoding="utf-8"), modules) if name in modules else set()
        later = imports & set(layers[layers.index(name):])
        wrong += [f"{name} imports {other}, which comes after it" for other in sorted(later)]
    return wrong


def is_handed_on(statement):
    """A docstring, an import, or a name that is given what another module defines."""
    if isinstance(statement, ast.Assign):
        return isinstance(statement.value, (ast.Name, ast.Attribute)) or ast.unparse(statement.targets[0]) == "__all__"
    return isinstance(statement, (ast.Import, ast.ImportFrom)) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))


def forwarding_modules(root):
    modules = find_modules(root, "utils", "studies")
    bodies = {name: ast.parse(path.read_text(encoding="utf-8")).body for name, path in modules.items()}
    return [name for name, body in bodies.items() if all(map(is_handed_on, body))]


def pyvene_internals():
    """Private names that pyvene's intervened model defines itself, and not torch's modules."""
    source = inspect.getsource(sys.modules[pyvene.IntervenableModel.__module__])
    names = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)
             and isinstance(node.value, ast.Name) and node.value.id == "self"} | set(dir(pyvene.IntervenableModel))
    return {name for name in names if re.match(r"_[a-z]", name)} - set(dir(torch.nn.Linear(1, 1)))


def pyvene_elsewhere(root):
    """What modules outside of utils/interventions have to do with pyvene beyond its public names by way of ``pv``."""
    wrong, internals = [], pyvene_internals()
    public = {name for name in vars(pyvene) if not name.startswith("_") and not inspect.ismodule(vars(pyvene)[name])}
    for name, path in find_modules(root, "utils", "studies", "workshop").items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if name.startswith(PYVENE_HOME + "."):
            continue
        if any(other.split(".")[0] == "pyvene" for other in find_imports(ast.unparse(tree))):
            wrong.append(f"{name} imports pyvene")
        homes = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                 for alias in node.names if "pv" in (alias.name, alias.asname)}
        attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        of_pv = {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "pv"}
        if homes - {PV_HOME} or of_pv and not homes:
            wrong.append(f"{name} has pv not from {PV_HOME}")
        wrong += [f"{name} reaches into pyvene: pv.{attribute}" for attribute in sorted(of_pv - public)]
        inner = {node.attr for node in attributes} & internals
        wrong += [f"{name} reaches into pyvene: {attribute}" for attribute in sorted(inner)]
    return wrong


def missing_on_pages(root):
    """Modules that the API reference does not list exactly once, and files that their package's README leaves out."""
    listed = re.findall(r"^   ([\w.]+)$", (root / "book" / "api.md").read_text(encoding="utf-8"), re.M)
    modules = {name: path for name, path in find_modules(root, "utils", "studies").items() if path.stem != "__init__"}
    shown = {name for name in modules if not name.startswith("studies.benchmarks.")}  # their README is their page
    once = [name for name in listed if listed.count(name) == 1]
    wrong = [f"book/api.md: {name}" for name in sorted(shown ^ set(once))]
    for package in ("utils", "studies"):
        text = (root / package / "README.md").read_text(encoding="utf-8")
        files = [modules[name].relative_to(root / package).as_posix() for name in shown if name.startswith(package)]
        wrong += [f"{package}/README.md: {file}" for file in sorted(files) if f"`{file}`" not in text]
    return wrong


def check_spelling(path):
    """What codespell finds, American spelling included, by the settings of the repository."""
    command = [sys.executable, "-m", "codespell_lib", "--toml", ROOT / "pyproject.toml", path]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout


RULES = [crowded_folders, long_modules, wrong_directions, cycles, out_of_layer, forwarding_modules, pyvene_elsewhere,
         missing_on_pages]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_code_keeps_the_rule(rule):
    assert not rule(ROOT)


def test_the_code_can_be_read_in_the_order_of_its_page():
    """Files of utils stand in utils/README.md as in LAYERS."""
    text = (ROOT / "utils" / "README.md").read_text(encoding="utf-8").split("## The files")[1]
    assert re.findall(r"^\| `([\w/]+)\.py`", text, re.M) == [name[6:].replace(".", "/") for name in LAYERS[1:]]


def test_the_spelling_is_american():
    assert not check_spelling(".")


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == utils.__version__ and re.fullmatch(r"\d+\.\d+\.\d+", utils.__version__)
    assert {"cff-version", "message", "title", "authors", "abstract", "keywords", "license"} <= citation.keys()


def test_licenses_are_named_where_readers_look():
    code, text = ((ROOT / name).read_text(encoding="utf-8") for name in ("LICENSE", "LICENSE-TEXT"))
    assert code.startswith("MIT License\n") and "https://creativecommons.org/licenses/by/4.0/" in text
    for page in ("README.md", "book/_templates/layout.html"):
        shown = (ROOT / page).read_text(encoding="utf-8")
        assert "MIT License" in shown and "https://creativecommons.org/licenses/by/4.0/" in shown


def test_a_commit_is_checked_by_what_make_lint_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)[1]
    tools = re.findall(r"-m (\w+)", lint)
    assert tools == ["ruff", "mypy", "codespell_lib"] == [re.search(r"-m (\w+)", hook["entry"])[1] for hook in hooks]


FINE = {"utils/__init__.py": '__version__ = "1"', "utils/validation.py": "A = 1", "utils/data_utils.py": "B = 2",
        "studies/run.py": "def f(): pass", "book/api.md": "   utils.validation\n   utils.data_utils\n   studies.run\n",
        "utils/README.md": "`validation.py` `data_utils.py`", "studies/README.md": "`run.py`"}
BROKEN = [
    (crowded_folders, {f"utils/m{i}.py": "A = 1" for i in range(9)}, "utils: 11 modules"),
    (long_modules, {"studies/run.py": "A = 1\n" * 251}, "studies.run: 251 lines"),
    (long_modules, {f"utils/measures/m{i}.py": "A = 1\n" * 250 for i in range(12)}, "without checks and explorer"),
    (wrong_directions, {"utils/data_utils.py": "from studies.run import f"}, "utils.data_utils imports studies.run"),
    (wrong_directions, {"utils/data_utils.py": "def f():\n    import studies.run"}, "imports studies.run"),
    (wrong_directions, {"workshop/tool.py": "from studies import run"}, "workshop.tool imports studies.run"),
    (wrong_directions, {"studies/run.py": "import workshop.tool"}, "studies.run imports workshop.tool"),
    (wrong_directions, {"book/export.py": "import workshop.tool"}, "book.export imports workshop.tool"),
    (wrong_directions, {"studies/run.py": "from book import export"}, "studies.run imports book"),
    (wrong_directions, {"notebooks/0_x.ipynb": "%time\nfrom workshop.tool import f"},
     "0_x.ipynb imports workshop.tool"),
    (cycles, {"utils/validation.py": "import utils.data_utils", "utils/data_utils.py": "from utils import validation"},
     "utils.data_utils"),
    (out_of_layer, {"utils/validation.py": "from utils.data_utils import B"}, "imports utils.data_utils, which comes"),
    (out_of_layer, {"utils/new.py": "A = 1"}, "utils.new stands only in one"),
    (forwarding_modules, {"utils/data_utils.py": '"""Doc."""\nfrom utils.validation import A\nB = A\n__all__ = ["A"]'},
     "utils.data_utils"),
    (pyvene_elsewhere, {"studies/run.py": "import pyvene as pv"}, "studies.run imports pyvene"),
    (pyvene_elsewhere, {"studies/run.py": "def f():\n    from pyvene import IntervenableModel"}, "imports pyvene"),
    (pyvene_elsewhere, {"studies/run.py": "from utils.das_utils import pv\npv.IntervenableModel"}, "has pv not from"),
    (pyvene_elsewhere, {"studies/run.py": f"from {PV_HOME} import pv\npv.models"}, "reaches into pyvene: pv.models"),
    (pyvene_elsewhere, {"studies/run.py": "def f(model): model._cleanup_states()"}, "pyvene: _cleanup_states"),
    (missing_on_pages, {"utils/checks/new.py": "A = 1"}, "book/api.md: utils.checks.new"),
    (missing_on_pages, {"book/api.md": "   utils.gone\n"}, "book/api.md: utils.gone"),
    (missing_on_pages, {"studies/README.md": "nothing"}, "studies/README.md: run.py"),
]


def write_tree(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".ipynb":
            nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(content)]), path)
        else:
            path.write_text(content, encoding="utf-8")


@pytest.mark.parametrize("rule, broken, message", BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_rule_can_fail(tmp_path, monkeypatch, rule, broken, message):
    if rule is out_of_layer:
        monkeypatch.setattr(rule, "__defaults__", (("utils", "utils.validation", "utils.data_utils"),))
    write_tree(tmp_path, FINE)
    assert not rule(tmp_path)
    write_tree(tmp_path, broken)
    assert message in "\n".join(rule(tmp_path))


@pytest.mark.parametrize("text", ["A colour.", "Teh network."])  # codespell:ignore colour,teh
def test_a_wrong_spelling_is_found(tmp_path, text):
    path = Path(tmp_path, "page.md")
    path.write_text(text, encoding="utf-8")
    assert "==>" in check_spelling(path)
