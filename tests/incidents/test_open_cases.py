from incidents.cases import open_case
from incidents.open_cases import OpenCases, place_of
from tests.incidents._world import T0, address, finding, net, principal

NET, ONE, TWO = net("2001:db8::/64"), address("2001:db8::1"), address("2001:db8::2")
BESIDE, V4, WHO = address("2001:db8:0:1::1"), address("192.0.2.1"), principal("u-1")


def case_of(actor):
    return open_case(actor, finding(actor, T0), 0)


def test_an_address_without_a_case_is_answered_for_by_that_of_its_64():
    cases, whole, own = OpenCases(), case_of(NET), case_of(ONE)
    cases.add(whole)
    cases.add(own)
    assert [cases.of(actor) for actor in (NET, ONE, TWO, BESIDE, V4, WHO)] == [
        whole, own, whole, None, None, None,
    ]  # fmt: skip
    assert [cases.get(actor) for actor in (ONE, TWO)] == [own, None]
    cases.remove(own)
    assert cases.of(ONE) is whole


def test_the_cases_within_a_64_are_those_of_its_addresses():
    cases = OpenCases()
    made = [case_of(actor) for actor in (ONE, TWO, BESIDE, V4, WHO)]
    for case in made:
        cases.add(case)
    assert cases.within(NET) == made[:2]
    assert cases.within(ONE) == []
    cases.remove(made[0])
    cases.remove(made[0])
    assert cases.within(NET) == made[1:2]
    cases.remove(made[1])
    assert cases.within(NET) == []


def test_another_case_of_the_actor_stays():
    cases, old, new = OpenCases(), case_of(ONE), case_of(ONE)
    cases.add(old)
    cases.add(new)
    cases.remove(old)
    assert (cases.of(ONE), cases.within(NET)) == (new, [new])


def test_a_finding_has_one_place_whichever_case_holds_it():
    places = [place_of(actor) for actor in (NET, ONE, TWO, V4, WHO)]
    assert places == [*["subnet:2001:db8::/64"] * 3, "ip:192.0.2.1", "principal:u-1"]
