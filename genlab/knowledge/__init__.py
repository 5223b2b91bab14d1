"""Chapter 10, learning with knowledge: constraints, rules and rewards as teachers."""

from genlab.knowledge.constraint import (
    Constraint,
    regularised_objective,
    score_spread,
)
from genlab.knowledge.distill import (
    distill,
    imitation,
)
from genlab.knowledge.grammar import (
    Reviewer,
)
from genlab.knowledge.image import (
    ANGLES,
    LIMBS,
    limb,
    limb_product,
    match_pose,
    read_limbs,
    stick_figures,
)
from genlab.knowledge.iterate import (
    Fitted,
    pr_em,
)
from genlab.knowledge.logic import (
    Rule,
    average,
    soft_and,
    soft_implies,
    soft_not,
    soft_or,
    truth_values,
)
from genlab.knowledge.posterior import (
    Tilted,
    posterior_regularization,
    pr_objective,
    weight_for,
)
from genlab.knowledge.reward import (
    Chain,
    SoftPolicy,
    Trajectories,
    soft_value_iteration,
)
from genlab.knowledge.rules import (
    learn_weights,
    rule_teacher,
    tilted_log_likelihood,
)
from genlab.knowledge.sentiment import (
    ButTeacher,
    PhraseNet,
    accuracies,
    but_rule,
    compare,
)
from genlab.knowledge.targets import (
    average_of_teachers,
    blend,
    distillation_loss,
    soften,
)
from genlab.knowledge.tilts import (
    tilted_normal,
    weighted_mean,
)
from genlab.knowledge.words import (
    Vocabulary,
)

__all__ = [
    "ANGLES",
    "LIMBS",
    "ButTeacher",
    "Chain",
    "Constraint",
    "Fitted",
    "PhraseNet",
    "Reviewer",
    "Rule",
    "SoftPolicy",
    "Tilted",
    "Trajectories",
    "Vocabulary",
    "accuracies",
    "average",
    "average_of_teachers",
    "blend",
    "but_rule",
    "compare",
    "distill",
    "distillation_loss",
    "imitation",
    "learn_weights",
    "limb",
    "limb_product",
    "match_pose",
    "posterior_regularization",
    "pr_em",
    "pr_objective",
    "read_limbs",
    "regularised_objective",
    "rule_teacher",
    "score_spread",
    "soft_and",
    "soft_implies",
    "soft_not",
    "soft_or",
    "soft_value_iteration",
    "soften",
    "stick_figures",
    "tilted_log_likelihood",
    "tilted_normal",
    "truth_values",
    "weight_for",
    "weighted_mean",
]
