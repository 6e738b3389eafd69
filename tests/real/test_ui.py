"""The web UI with its real daemon, seen through a real Chromium."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing

import dagster as dg
import polars as pl
import pytest

from assets.shown import of_value
from pipeline.escaped import visible
from pipeline.store import Lake
from tests.conftest import ORCHARD, TINY, Home
from tests.hostile import TEXTS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]


@pytest.fixture(scope="module")
def url(finished: Home) -> Iterator[str]:
    """A running `orchard ui` on the finished data folder."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(ORCHARD), "ui", "--profile", str(TINY), "--port", str(port)]
    server = subprocess.Popen(
        command,
        env=finished.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(f"http://127.0.0.1:{port}/server_info", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def _wait(address: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert server.poll() is None, "the web server ended"
        try:
            urllib.request.urlopen(address, timeout=2).read()
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("the web server did not answer within 90 s")


def ask(url: str, query: str) -> dict[str, object]:
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})
    answer = json.load(urllib.request.urlopen(request, timeout=60))
    assert "errors" not in answer, answer
    data: dict[str, object] = answer["data"]
    return data


def test_the_daemon_loads_every_asset_the_schedule_and_the_run_of_the_command_line(
    url: str,
) -> None:
    data = ask(
        url, "{ assetNodes { assetKey { path } groupName description hasMaterializePermission } }"
    )
    nodes = {node["assetKey"]["path"][0]: node for node in data["assetNodes"]}  # type: ignore[index,attr-defined]
    assert set(nodes) == {
        "prompts", "source_pairs", "source_responses", "source_votes", "source_prompts",
        "responses", "policy_responses", "policy_votes",
        "tree_nodes", "thought_nodes", "preference_lists", "votes",
        "judges", "judge_contexts", "prompt_ratings",
            "principles", "rationales", "permuted_rationales",
        "scores", "pair_votes", "pair_strengths", "voters", "voter_checks", "noise_tests",
        "instructions",
        "code_pairs", "unpaired", "preferences", "treated_preferences", "reference_logps",
        "training_runs", "evaluations", "brought_evaluations", "metrics", "noise_sweep",
        "step_scores",
        "selections", "comparisons", "leaderboard", "report",
    }  # fmt: skip
    assert all(node["description"] and node["groupName"] != "default" for node in nodes.values())
    schedules = ask(
        url,
        '{ schedulesOrError(repositorySelector: {repositoryName: "__repository__", '
        'repositoryLocationName: "assets.definitions"}) '
        "{ ... on Schedules { results { name cronSchedule scheduleState { status } } } } }",
    )
    (nightly,) = schedules["schedulesOrError"]["results"]  # type: ignore[index]
    assert (nightly["cronSchedule"], nightly["scheduleState"]["status"]) == ("0 2 * * *", "STOPPED")
    runs = ask(url, "{ runsOrError { ... on Runs { results { status } } } }")["runsOrError"]
    assert "SUCCESS" in {run["status"] for run in runs["results"]}  # type: ignore[index]


LAUNCH = """mutation { launchPipelineExecution(executionParams: {selector: {
    repositoryName: "__repository__", repositoryLocationName: "assets.definitions",
    jobName: "everything"}, runConfigData: {}}) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""


def test_the_daemon_runs_the_nightly_job_and_finds_everything_up_to_date(
    url: str, finished: Home
) -> None:
    launched = ask(url, LAUNCH)["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched  # type: ignore[index]
    run_id = launched["run"]["runId"]  # type: ignore[index]
    query = f'{{ runOrError(runId: "{run_id}") {{ ... on Run {{ status }} }} }}'
    deadline = time.monotonic() + 150
    status = ""
    while time.monotonic() < deadline and status not in ("SUCCESS", "FAILURE"):
        time.sleep(1)
        status = ask(url, query)["runOrError"]["status"]  # type: ignore[index]
    assert status == "SUCCESS"
    with Lake(finished.path) as lake:
        newest = lake.sql("SELECT count(*) AS n FROM commits WHERE run_id = $run", {"run": run_id})
    assert newest["n"].to_list() == [0]  # nothing was written


@pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine (Debian: apt-get install chromium)"
)
def test_the_asset_graph_shows_in_a_browser(url: str, finished: Home) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.goto(f"{url}/asset-groups")
        for group in ("sampling", "preferences", "training", "validation"):
            page.get_by_text(group, exact=True).first.wait_for(timeout=60_000)
        page.goto(f"{url}/assets/leaderboard")
        page.get_by_text("One row per variant").first.wait_for(timeout=60_000)
        # a column of the declared schema
        assert page.get_by_text("gain_per_million_tokens").count() > 0
        page.screenshot(path=finished.path / "leaderboard.png")
        browser.close()


@pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine (Debian: apt-get install chromium)"
)
def test_an_asset_page_with_hostile_texts_asks_no_other_server(url: str, finished: Home) -> None:
    from playwright.sync_api import sync_playwright

    rows = pl.DataFrame({"name": list(TEXTS), "text": [visible(text) for text in TEXTS.values()]})
    shown = {"preview": of_value(rows, "t"), "said": of_value(list(TEXTS.values()), "t")}
    shown |= {f"text {n}": of_value(text, "t") for n, text in enumerate(TEXTS.values())}
    with dg.DagsterInstance.from_config(str(finished.path / "dagster")) as instance:
        event = dg.AssetMaterialization(
            "report", description=visible(TEXTS["HTML"]), metadata=shown
        )
        instance.report_runless_asset_event(event)
    asked: set[str] = set()
    dialogs: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 3000})
        page.on("request", lambda request: asked.add(request.url))
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        for view in ("", "?view=events"):
            page.goto(f"{url}/assets/report{view}")
            page.get_by_text("arr[i] = arr[bold]x[/bold]").first.wait_for(timeout=60_000)
            page.wait_for_timeout(1000)
        browser.close()
    port = url.rpartition(":")[2]
    own = (url, f"ws://127.0.0.1:{port}", "data:", "blob:")
    assert [address for address in asked if not address.startswith(own)] == []
    assert dialogs == []
