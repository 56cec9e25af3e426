"""`storyshift triggers`, as a person calls it."""

import json

from test_cli import Shell, shell  # noqa: F401 - a fixture


def test_an_empty_record_answers_six_unknowns_each_with_its_reason(shell: Shell) -> None:  # noqa: F811
    out, err = shell("triggers", "--as-of", "2020-04-15", "--format", "json")
    answer = json.loads(out)
    assert err == ""
    assert answer["meta"]["as_of"] == "2020-04-15T23:59:59Z"
    keys = ["cutting", "weak_dollar", "fiscal_pressure", "real_yields", "metals_lead", "bitcoin_hedge"]
    assert [row["trigger"] for row in answer["data"]] == keys
    assert {(row["state"], row["since"]) for row in answer["data"]} == {("unknown", "2020-04-15")}
    assert "Nothing is known of DFF; import or load it;" in answer["data"][0]["sentence"]
    assert {"name", "data", "stories"} <= answer["data"][0].keys()


def test_a_person_reads_a_table_of_imported_values(shell: Shell) -> None:  # noqa: F811
    from datetime import date, timedelta

    days = [date(2020, 1, 1) + timedelta(days=n) for n in range(120)]
    rows = [f"{day},{2 - 0.01 * n:.2f}" for n, day in enumerate(days)]
    (shell.folder / "DFII10.csv").write_text("\n".join(["date,DFII10", *rows]))
    shell("import", "macro", str(shell.folder / "DFII10.csv"))
    out, _ = shell("triggers", "--as-of", "2020-04-29")
    line = next(line for line in out.splitlines() if line.startswith("Real yields fall"))
    assert " on " in line
    assert "-0.60 in 60 days" in out
    assert out.count("unknown") == 5


def test_the_six_as_a_table(shell: Shell) -> None:  # noqa: F811
    out, err = shell("triggers", "--as-of", "2020-04-15", "--format", "csv")
    lines = out.splitlines()
    assert err == ""
    assert lines[0] == "trigger,name,state,since,sentence"
    assert len(lines) == 7
    assert lines[1].startswith("cutting,The central bank is cutting,unknown,2020-04-15,")


def test_what_cannot_be_asked_is_told(shell: Shell) -> None:  # noqa: F811
    assert "as_of is 'soon'" in shell("triggers", "--as-of", "soon", code=2)[1]
    assert "lies in the future" in shell("triggers", "--as-of", "2199-01-01", code=2)[1]
    (shell.folder / "triggers.toml").write_text("[triggers.cutting]\nname = 'Cutting'\n")
    shell.environment["STORYSHIFT_CONFIG_DIR"] = str(shell.folder)
    assert "triggers: cutting.series: Field required" in shell("triggers", code=2)[1]
