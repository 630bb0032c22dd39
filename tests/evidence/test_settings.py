import pytest
from pydantic import ValidationError

from evidence.settings import Elasticsearch, History, Ledger


def test_a_ledger_is_named_by_its_origin():
    assert Ledger().origin == "breachline/default/evidence"
    assert Ledger(namespace="bank-2", log="eu").origin == "breachline/bank-2/eu"


BAD = [
    ("a name that would end a line of a signed note", Ledger, {"namespace": "a\nb"}),
    ("a name with a plus, which a key's name may not have", Ledger, {"log": "a+b"}),
    ("a password in a URL", Elasticsearch, {"hosts": ["https://elastic:secret@192.0.2.1:9200"]}),
    ("nowhere", Elasticsearch, {"hosts": []}),
    ("a size without a unit that exists", History, {"max_bytes": "10XB"}),
    ("no retention", Elasticsearch, {"hosts": ["http://192.0.2.1:9200"], "retention": "0s"}),
]


@pytest.mark.parametrize(("name", "block", "given"), BAD, ids=[c[0] for c in BAD])
def test_what_is_refused(name, block, given):
    with pytest.raises(ValidationError):
        block.model_validate(given)


def test_an_address_loses_its_last_slash():
    assert Elasticsearch(hosts=["https://192.0.2.1:9200/"]).hosts == ["https://192.0.2.1:9200"]
