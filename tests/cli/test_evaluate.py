"""`burnish evaluate` at the command line."""

import json

MODEL = "l0-smoothing"


def test_the_command_prints_a_table_and_json(photos, burnish):
    code, text, _ = burnish("evaluate", MODEL, "--photos", photos)
    assert code == 0
    assert "untouched" in text
    assert "slow operator" in text
    (table,) = json.loads(burnish("evaluate", MODEL, "--photos", photos, "--json")[1])
    assert [row["name"] for row in table["rows"]] == ["untouched", MODEL, "slow operator"]


def test_a_folder_without_photos_is_one_line(tmp_path, burnish):
    code, _, said = burnish("evaluate", MODEL, "--photos", tmp_path)
    assert code == 2
    assert "expected a folder of photos" in said
