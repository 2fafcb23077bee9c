"""The chart with the real dependencies: `deploy/helm/check-dependencies DIRECTORY`.

The directory holds the three charts, as archives or unpacked (`helm dependency build` puts them into charts/). They
are checked as the stubs are in the tests, and for images that are not to be had any more.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import helm_python
import yaml

from tests.chart import checks
from tests.chart.matrix import CASES, Case
from tests.chart.rendering import CHART, RenderError, documents_in, render_sources

#: Where Bitnami's versioned images were until August 2025.
GONE = ("docker.io/bitnami/", "registry-1.docker.io/bitnami/")


def main() -> int:
    """The exit status: 0 if all is well."""
    parser = argparse.ArgumentParser(prog="check-dependencies", description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="holds rabbitmq, redis and mongodb, as .tgz or unpacked")
    directory: Path = parser.parse_args().directory
    with tempfile.TemporaryDirectory() as temporary:
        chart = with_dependencies(directory, Path(temporary))
        problems = wrong_versions(chart)
        for name, case in CASES.items():
            found = [] if problems else problems_of(chart, case)
            say(f"{'ok' if not found else 'NOT OK':8}{name}")
            problems += found
    for problem in dict.fromkeys(problems):
        say(problem)
    return 1 if problems else 0


def with_dependencies(directory: Path, temporary: Path) -> Path:
    """A copy of the chart that has the dependencies."""
    chart = Path(shutil.copytree(CHART, temporary / "gpt-jobs", ignore=shutil.ignore_patterns("charts")))
    (chart / "charts").mkdir()
    for found in directory.iterdir():
        if found.suffix == ".tgz":
            helm_python.expand(chart / "charts", found)
        elif (found / "Chart.yaml").exists():
            shutil.copytree(found, chart / "charts" / found.name)
    return chart


def wrong_versions(chart: Path) -> list[str]:
    """Dependencies that are not those of Chart.lock."""
    wanted = yaml.safe_load((chart / "Chart.lock").read_text(encoding="utf-8"))["dependencies"]
    problems = []
    for name, version in ((each["name"], each["version"]) for each in wanted):
        path = chart / "charts" / name / "Chart.yaml"
        found = yaml.safe_load(path.read_text(encoding="utf-8"))["version"] if path.exists() else "not there"
        if found != version:
            problems.append(f"{name}: {version} is wanted, and it is {found}")
    return problems


def problems_of(chart: Path, case: Case) -> list[str]:
    """What is wrong with one rendering."""
    try:
        sources = render_sources(case.values, release=case.release, values_files=case.files, chart=chart)
    except RenderError as error:
        return [str(error)]
    documents = documents_in(sources)
    return checks.schema_problems(documents) + checks.name_problems(documents) + old_images(documents)


def old_images(documents: list[checks.Document]) -> list[str]:
    """Containers whose image is where there are none any more."""
    return [
        f"{checks.title(document)}: {container['image']} is not to be had any more"
        for document in documents
        if (pod := checks.pod_of(document)) is not None
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
        if container["image"].startswith(GONE)
    ]


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
