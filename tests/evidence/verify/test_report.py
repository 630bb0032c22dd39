from evidence.verify.report import Problem, Report


def test_problems_stand_by_entry_and_those_of_none_last():
    report = Report("var", "store")
    assert report.intact
    report.add("unreadable", "the file")
    report.add("missing", "seven", 7, "rd-7")
    report.add("altered", "none", 0)
    assert not report.intact
    assert report.problems == [
        Problem("altered", "none", 0),
        Problem("missing", "seven", 7, "rd-7"),
        Problem("unreadable", "the file"),
    ]
    assert report.named == {0, 7}
    document = report.document()
    assert document["problems"][1] == {
        "what": "missing", "says": "seven", "index": 7, "id": "rd-7",
    }  # fmt: skip
    assert (document["intact"], document["problem_count"]) == (False, 3)


def test_very_many_are_counted_alone():
    report = Report("var", "store")
    for n in range(5000):
        report.add("missing", f"{n}", n)
    assert (report.count, len(report.problems), len(report.named)) == (5000, 1000, 1000)
