"""The configuration that fits a simulated log, and a README that says how to use both.

In: the World. Out: breachline.yaml, README.md and, where principals are mapped, people.csv.
"""

from pathlib import Path

from console.simulate.lines import Format
from console.simulate.world import BATCH_NETWORK, CARRIER_NETWORK, SERVICE, World

_README = """\
# A simulated access log

Ordinary traffic, and attacks whose truth is known: `truth.json` says who did what, and
`affected/` has the people whose data each attacker read or changed, one file an attacker.

    breachline scan {log} --config breachline.yaml
"""


def write_config(out: Path, world: World, *, format_: Format, seconds: int) -> None:
    """Write what a person would configure for this service."""
    (out / "breachline.yaml").write_text(config_text(world, format_=format_, seconds=seconds))
    packed = (out / "access.log.gz").exists()
    (out / "README.md").write_text(_README.format(log="access.log.gz" if packed else "access.log"))
    people = out / "people.csv"
    people.unlink(missing_ok=True)
    if world.principals == "mapped":
        rows = "".join(f"{user.principal},{user.id}\n" for user in world.users)
        people.write_text("id,user\n" + rows)


def config_text(world: World, *, format_: Format, seconds: int) -> str:
    """breachline.yaml of a World whose log covers so many seconds."""
    base = world.prefix
    vouched = world.principals not in {"none", "asserted"}
    parts = ["# The configuration of a simulated service.", "intake:"]
    if vouched and format_ != "ecs":
        parts.append("  trust: {principal: gateway}")
    if world.principals != "none" and format_ != "nginx":
        parts.append("  identity_headers: [{name: X-User-ID, honoured: always}]")
    if world.principals == "mapped":
        parts.append("  identities: {file: people.csv}")
    parts += [
        "  routes:",
        f'    - {{match: "{base}/users/{{owner}}/**", category: contact}}',
        f'    - {{match: "{base}/users?ids={{owner}}", category: contact}}',
        f'    - {{match: "{base}/wallets/{{owner}}/transactions", category: financial}}',
        f'    - {{match: "{base}/orders/{{object}}", category: orders}}',
        f'    - {{match: "{base}/products/**", public: true}}',
    ]
    if world.staffed:
        parts += [
            "  service_accounts:",
            f'    - {{id: {SERVICE}, from: [{BATCH_NETWORK}], routes: ["{base}/wallets/**"]}}',
            '  delegates: ["support-*"]',
        ]
    parts += ["respond:", f"  carriers: [{CARRIER_NETWORK}]"]
    if seconds < 2 * 3600:
        # By default an hour must have been seen before anything is blocked.
        parts.append(f"  min_history: {max(1, seconds // 240)}m  # this log is short")
    return "\n".join(parts) + "\n"
