"""What only the suite itself can do, on its Python 2.7. This runs there, and is also valid Python 3.

``suite.py cases PATTERN...``
    Write the matching cases as a JSON list.
``suite.py report DIRECTORY RUN...``
    Write the suite's report on all cases whose results are in the directories RUN.
"""

import glob
import importlib
import json
import os
import sys

COUNTED_BY_NUMBER = ("rxFrameStats", "rxOctetStats", "txFrameStats", "txOctetStats")


def case_set():
    suite = importlib.import_module("autobahntestsuite.fuzzing")
    return suite.CaseSet(
        suite.CaseSetname, suite.CaseBasename, suite.Cases, suite.CaseCategories, suite.CaseSubCategories
    )


def cases(patterns):
    suite = case_set()
    for pattern in patterns:
        if not set(suite.resolveCasePatternList([pattern])) & set(suite.CasesById):
            sys.exit("The suite has no case " + pattern)
    json.dump(
        [described(suite, case_id) for case_id in suite.parseSpecCases({"cases": patterns})], sys.stdout
    )


def described(suite, case_id):
    return {
        "id": case_id,
        "group": suite.CaseCategories.get(case_id.split(".")[0], ""),
        "description": suite.caseClassToPrettyDescription(suite.CasesById[case_id]),
    }


def report(directory, *runs):
    factory = importlib.import_module("autobahntestsuite.fuzzing").FuzzingFactory(directory)
    factory.CaseSet = case_set()
    for run in runs:
        for path in glob.glob(os.path.join(run, "*_case_*.json")):
            factory.logCase(result(path))
    factory.createReports()


def result(path):
    with open(path) as file:
        case = json.load(file)
    for name in COUNTED_BY_NUMBER:  # JSON turned the numbers into text
        case[name] = {int(number): count for number, count in case[name].items()}
    for name in ("description", "expectation"):  # written to the report unchanged
        case[name] = case[name].encode("utf-8")
    return case


if __name__ == "__main__":
    del sys.path[0]  # this directory, because its autobahn.py is not the package that the suite imports
    if sys.argv[1] == "cases":
        cases(sys.argv[2:])
    else:
        report(*sys.argv[2:])
