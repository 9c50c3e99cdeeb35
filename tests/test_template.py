import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samtranslator.yaml_helper import yaml_parse

from reviewbox.settings import Settings

TEMPLATE = yaml_parse((Path(__file__).parent.parent / "template.yaml").read_text(encoding="utf-8"))
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
VARIABLES: dict[str, Any] = RESOURCES["OnUpload"]["Properties"]["Environment"]["Variables"]


def test_every_setting_is_a_variable_of_the_function_and_the_other_way_round() -> None:
    """But for the model's folder: what is deployed is what was built."""
    settings = {f"REVIEWBOX_{field.name.upper()}" for field in fields(Settings)} - {"REVIEWBOX_MODEL_DIR"}

    assert {name for name in VARIABLES if name.startswith("REVIEWBOX_")} == settings


def test_the_parameters_defaults_are_the_settings_defaults() -> None:
    environ = {
        name: str(PARAMETERS[value["Ref"]]["Default"])
        for name, value in VARIABLES.items()
        if name.startswith("REVIEWBOX_")
    }

    assert Settings.from_environ(environ) == Settings()


@given(st.from_regex(PARAMETERS["SourcePrefix"]["AllowedPattern"]))
@settings(deadline=None)
def test_no_source_prefix_is_a_results_prefix(prefix: str) -> None:
    assert not re.search(PARAMETERS["ResultsPrefix"]["AllowedPattern"], prefix)


@pytest.mark.parametrize("timeout", PARAMETERS["TimeoutSeconds"]["AllowedValues"])
def test_a_message_stays_hidden_for_six_timeouts(timeout: str) -> None:
    """As Lambda's documentation asks of a queue that feeds a function."""
    assert int(TEMPLATE["Mappings"]["VisibilityTimeout"][timeout]["Seconds"]) == 6 * int(timeout)


def test_no_message_expires_before_its_last_receive() -> None:
    longest = max(int(timeout) for timeout in PARAMETERS["TimeoutSeconds"]["AllowedValues"])
    retention = RESOURCES["Uploads"]["Properties"]["MessageRetentionPeriod"]

    assert PARAMETERS["MaxReceives"]["MaxValue"] * 6 * longest < retention


def test_telemetry_is_off_before_any_import() -> None:
    assert VARIABLES["ORT_DISABLE_TELEMETRY"] == VARIABLES["ORT_TELEMETRY_DISABLED"] == "1"


def test_the_role_names_no_whole_service_and_no_whole_account() -> None:
    (policy,) = RESOURCES["OnUploadRole"]["Properties"]["Policies"]
    statements = [s for s in policy["PolicyDocument"]["Statement"] if "Sid" in s]

    for statement in statements:
        actions = statement["Action"]
        assert not [a for a in ([actions] if isinstance(actions, str) else actions) if "*" in a]
        assert statement["Resource"] != "*"
