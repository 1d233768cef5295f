"""The door to pandas for all that hand out a table. Only `drs.io`, which reads and edits tables, has another.

pandas takes as long to import as all of `drs`, so it is loaded when the first table is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import pandas as pd

DataFrame: TypeAlias = "pd.DataFrame"


def frame(
    data: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]], columns: Sequence[str] | None = None
) -> DataFrame:
    """A table of rows ({column: value} each) or of columns ({column: values}).

    `columns` : their names and order, also where there are no rows.
    """
    import pandas as pd

    return pd.DataFrame(data, columns=None if columns is None else list(columns))
