"""The names that Python code defines and uses."""

import symtable


def names(code: str) -> tuple[set[str], set[str]]:
    """Global names that some Python defines, and those that it uses."""
    defined, used = set(), set()
    tables = [symtable.symtable(code, "cell", "exec")]
    for table in tables:  # which grows
        tables += table.get_children()
        for symbol in table.get_symbols():
            if table is tables[0] or symbol.is_global():
                if symbol.is_assigned() or symbol.is_imported():
                    defined.add(symbol.get_name())
                if symbol.is_referenced():
                    used.add(symbol.get_name())
    return defined, used
