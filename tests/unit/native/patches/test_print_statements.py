"""Python 2's statements, word by word, and what Python 3 prints of them afterwards."""

from __future__ import annotations

import contextlib
import io

import pytest

from caffeflow.native.patches.patch import PlaceNotFoundError
from caffeflow.native.patches.print_statements import has_statements, is_python_3, rewrite_statements

STATEMENTS = [
    ("print 'owl'", "print('owl')"),
    ("print 'a', 2", "print('a', 2)"),
    ("print 'no end',", "print('no end', end=\" \")"),
    ("print '%d gulls' % (3)  # counted", "print('%d gulls' % (3))  # counted"),
    ("print", "print()"),
    ("if True: print 'one line'", "if True: print('one line')"),
    ("a = 1; print a; b = 2", "a = 1; print(a); b = 2"),
    ("print [1, 2], {3: 4}", "print([1, 2], {3: 4})"),
    ("print >>log, 'gull', 5", "print('gull', 5, file=log)"),
    ("print >>log", "print(file=log)"),
    ('print """two\nlines %s""" % (1,\n  )', 'print("""two\nlines %s""" % (1,\n  ))'),
    ("print 'a' \\\n  'b'", "print('a' \\\n  'b')"),
    ("x = 'print y'  # print z", "x = 'print y'  # print z"),
    ("print('already')", "print('already')"),
    ("try:\n  pass\nexcept Exception, e:\n  print e", "try:\n  pass\nexcept Exception as e:\n  print(e)"),
    (
        "try:\n  pass\nexcept (OSError, ValueError), e:\n  pass",
        "try:\n  pass\nexcept (OSError, ValueError) as e:\n  pass",
    ),
    (
        "try:\n  pass\nexcept (OSError, ValueError):\n  pass",
        "try:\n  pass\nexcept (OSError, ValueError):\n  pass",
    ),
]


@pytest.mark.parametrize(("before", "after"), STATEMENTS)
def test_each_statement_takes_its_form_in_python_3(before: str, after: str) -> None:
    assert rewrite_statements(before + "\n") == after + "\n"
    assert rewrite_statements(after + "\n") == after + "\n"
    assert is_python_3(after + "\n")


def test_what_is_printed_is_what_python_2_printed() -> None:
    source = "print 'a', 2,\nprint 'b'\nprint\nif 1:\n  print '%s!' % 'c'\n"
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(rewrite_statements(source), {})  # noqa: S102 - the text above
    assert shown.getvalue() == "a 2 b\n\nc!\n"


def test_python_3_is_not_looked_at() -> None:
    assert has_statements("print 'owl'\n")
    assert not has_statements("print\nprint('owl')\n")  # a bare name is Python 3 too
    assert not has_statements("exec 'other faults of Python 2'\n")


def test_source_that_does_not_close_is_refused() -> None:
    with pytest.raises(PlaceNotFoundError, match="brackets and indents close"):
        rewrite_statements("print (1,\n")
