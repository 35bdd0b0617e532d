"""Tables of pandas, polars and pyarrow: the columns they have, those that are needed as Arrow, and answers of the same kind.

Only what is needed is converted: other columns may hold what Arrow does not."""

import sys

from ._kinglet import Error

_KINDS = {"pandas": ("DataFrame",), "polars": ("DataFrame",), "pyarrow": ("Table",)}


def _kind(x):
    """What a table is of, subclasses included; None of anything else."""
    for name, kinds in _KINDS.items():
        module = sys.modules.get(name)
        if module is not None and isinstance(x, tuple(getattr(module, kind) for kind in kinds)):
            return name
    return None


def table_of(x):
    """A table of one of the kinds; what else streams Arrow becomes one of pyarrow."""
    if _kind(x):
        return x
    if hasattr(x, "collect") and not hasattr(x, "__arrow_c_stream__"):
        raise Error(f"a {type(x).__name__} has no rows yet: pass what its collect() gives")
    if not hasattr(x, "__arrow_c_stream__"):
        raise Error(f"{type(x).__name__} is no table that has __arrow_c_stream__; pass one of pandas, polars or pyarrow, or the path of a file")
    try:
        return _pyarrow().table(x)
    except (TypeError, ValueError) as error:
        raise Error(f"not a table of columns ({error}); pass a DataFrame or a table, series.to_frame() of a series") from error


def _pyarrow():
    try:
        import pyarrow
    except ImportError as error:
        raise Error("tables of this kind are read by pyarrow: pip install pyarrow") from error
    return pyarrow


def _levels(frame):
    """Levels of an index that have a name, which is no column's."""
    columns = {str(name) for name in frame.columns}
    return [k for k, name in enumerate(frame.index.names) if name is not None and str(name) not in columns]


def columns(table):
    """Names of the columns, those of the index behind them."""
    if _kind(table) == "pandas":
        return [str(name) for name in table.columns] + [str(table.index.names[k]) for k in _levels(table)]
    return list(table.columns if _kind(table) == "polars" else table.column_names)


def _column(frame, place):
    """A column of pandas, or what of the index stands behind them."""
    width = len(frame.columns)
    return frame.iloc[:, place] if place < width else frame.index.get_level_values(_levels(frame)[place - width])


def selected(table, places=None):
    """The columns at these places, or all, as what has __arrow_c_stream__."""
    names = columns(table)
    places = range(len(names)) if places is None else places
    if _kind(table) == "polars":
        import polars

        # As text without any, as Arrow's readers do not agree about what a column of nothing is made of.
        return table.select([names[place] for place in places]).cast({polars.Null: polars.String})
    if _kind(table) == "pyarrow":
        return table.select(list(places))
    pyarrow = _pyarrow()
    arrays = []
    for place in places:
        try:
            arrays.append(pyarrow.array(_column(table, place), from_pandas=True))
        except (TypeError, ValueError, NotImplementedError, OverflowError) as error:
            raise Error(f"column {names[place]!r} is of no one type ({error}): convert it, or leave it out") from error
    return pyarrow.table(arrays, names=[names[place] for place in places])


def kept(table):
    """The table as it is now, whatever is done to it later."""
    table = table_of(table)
    if _kind(table) == "pandas":
        return table.copy()
    return table.clone() if _kind(table) == "polars" else table


def answers(table, rows, group, best, outputs):
    """The answers to these rows as a table of the same kind, with the index of the rows in pandas, else with their numbers. group: a name
    and the place of that column, or None. best: the names of classes, and which of them answers are, or None. outputs: names and values."""
    kind = _kind(table)
    found = [] if kind == "pandas" else [("row", rows)]
    if group is not None:
        name, place = group
        if kind == "pandas":
            found.append((name, _column(table, place).array.take(rows)))
        else:
            found.append((name, _taken(kind, table[columns(table)[place]] if kind == "polars" else table.column(place), rows)))
    if best is not None:
        found.append(("class", _taken(kind, *best)))
    found += outputs
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Error(f"the answer would have two columns {twice!r}; rename the table's, or pass an array")
    if kind == "pandas":
        import pandas

        return pandas.DataFrame(dict(found), index=table.index.take(rows))
    if kind == "polars":
        import polars

        return polars.DataFrame(dict(found))
    return _pyarrow().table(dict(found))


def _taken(kind, values, places):
    if kind == "pandas":
        import pandas

        return pandas.Series(values).array.take(places)
    if kind == "polars":
        import polars

        return polars.Series(values).gather(places)
    pyarrow = _pyarrow()
    values = values if isinstance(values, (pyarrow.Array, pyarrow.ChunkedArray)) else pyarrow.array(values)
    return values.take(pyarrow.array(places))
