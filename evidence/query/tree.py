"""What a query says once it is read: a few frozen nodes, with typed values and known fields.

`parse` makes them; `match`, `sql` and `dsl` each give all of them one meaning. A field with
several values fits a leaf if one of them does; a document without the field never does.
"""

from typing import Literal

import msgspec

Kind = Literal["keyword", "text", "ip", "date", "long", "float", "boolean", "flattened"]
"""The types of Elasticsearch that fields have. Of a flattened object every value is a keyword."""

Value = str | int | float | bool


class Field(msgspec.Struct, frozen=True):
    """A field of documents, and where the history has it."""

    name: str
    kind: Kind
    anywhere: bool = False
    """Whether a word without a field is looked for here too."""
    longest: int = 0
    """Of a keyword: characters (UTF-16) beyond which Elasticsearch does not index it; 0: any."""
    root: str = ""
    """Of a key below a flattened object: that object's name."""
    column: str = ""
    """The history: a SQL expression that is never NULL; "" where it has no such column."""
    absent: str | int | bool = ""
    """The history: the column's value where a document lacks the field."""
    many: bool = False
    """The history: the column is a list."""


class Is(msgspec.Struct, frozen=True, tag=True):
    """A value is this one. Addresses in canonical text; never a date or a text."""

    field: Field
    value: Value


class Between(msgspec.Struct, frozen=True, tag=True):
    """low <= value < high for whole numbers and dates (ms); low <= value <= high for addresses.

    Addresses are the 128-bit numbers of `values.address_number`. None is an open end.
    """

    field: Field
    low: int | None
    high: int | None


class Within(msgspec.Struct, frozen=True, tag=True):
    """A value of a float or keyword field between two, each inclusive or not; None is open."""

    field: Field
    low: float | str | None
    high: float | str | None
    with_low: bool
    with_high: bool


class Network(msgspec.Struct, frozen=True, tag=True):
    """An address inside a network, as text such as 192.0.2.0/24."""

    field: Field
    network: str


class Like(msgspec.Struct, frozen=True, tag=True):
    r"""A value, or one word of a text, fits the whole pattern: `*` any run, `?` one character.

    A backslash makes the next character stand for itself. Words are in lower case.
    """

    field: Field
    pattern: str


class Words(msgspec.Struct, frozen=True, tag=True):
    """A text has these words one after the other, in any case."""

    field: Field
    text: str


class Exists(msgspec.Struct, frozen=True, tag=True):
    """The document has the field."""

    field: Field


class Not(msgspec.Struct, frozen=True, tag=True):
    """All documents that do not fit."""

    part: "Node"


class And(msgspec.Struct, frozen=True, tag=True):
    """All parts fit; of no parts: every document."""

    parts: tuple["Node", ...]


class Or(msgspec.Struct, frozen=True, tag=True):
    """At least one part fits; of no parts: no document."""

    parts: tuple["Node", ...]


Leaf = Is | Between | Within | Network | Like | Words | Exists
Node = Leaf | Not | And | Or

EVERYTHING = And(())
NOTHING = Or(())
