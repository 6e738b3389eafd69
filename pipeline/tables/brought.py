"""Tables of policies that were trained elsewhere."""

import dataframely as dy

import pipeline.tables.kinds as col
from pipeline.tables.declared import table
from pipeline.tables.results import Evaluations


@table("brought_policies")
class BroughtPolicies(dy.Schema):
    """One row per policy that was trained elsewhere and stands on the leaderboard."""

    name = col.identifier("its name on the leaderboard", key=True)
    place = col.text("where it is: a folder, an id of the hub, or a server's address")
    served_as = col.text("what the server calls it; null: it is no server's", nullable=True)
    key_env = col.text("the variable that holds the server's key; null: none", nullable=True)
    policy_id = col.identifier("the policy: name and weights; of a server's, name and address")


@table("brought_evaluations")
class BroughtEvaluations(Evaluations):
    """One row per policy trained elsewhere, metric and unit: as `evaluations`, the policy's name
    as its variant.
    """
