"""A structured constraint on images: does a figure hold its limbs as it should?

Stick figures of 11 × 9 pixels, four limbs of three angles each: 81 poses, so every expectation is a
sum. A reader looks at the pixels for each limb; rules are then made of what it reads.
"""

import torch
from torch import Tensor

from genlab.knowledge.logic import Rule, average
from genlab.models import query_points

__all__ = ["ANGLES", "LIMBS", "limb", "limb_product", "match_pose", "read_limbs", "stick_figures"]

LIMBS = ("left arm", "right arm", "left leg", "right leg")
ANGLES = ("up", "level", "down")
SHAPE = (11, 9)

_BODY = [(row, 4) for row in range(8)]
_ARM = [[(2, 3), (1, 2)], [(3, 3), (3, 2)], [(4, 3), (5, 2)]]
_LEG = [[(6, 3), (6, 2)], [(7, 3), (7, 2)], [(8, 3), (9, 3)]]


def stick_figures() -> tuple[Tensor, Tensor]:
    """All poses and their images.

    Returns:
        poses ``[81, 4]``, an angle 0, 1 or 2 for each of ``LIMBS``, the last changing first, and
        images ``[81, 11, 9]`` of zeros and ones, float64.

    Example:
        >>> poses, images = stick_figures()
        >>> poses[1].tolist(), images.shape
        ([0, 0, 0, 1], torch.Size([81, 11, 9]))
    """
    poses = torch.cartesian_prod(*[torch.arange(3)] * 4)
    body = torch.zeros(SHAPE, dtype=torch.float64)
    body[tuple(zip(*_BODY, strict=True))] = 1
    limbs = torch.stack([_masks()[i, poses[:, i]] for i in range(4)]).sum(0)
    return poses, body + limbs


def read_limbs(images: Tensor) -> Tensor:
    """How far each limb is at each angle, ``[n, 4, 3]`` in [0, 1], with a slope in the pixels.

    It is the mean of the pixels where that angle draws, times how empty those of the other two
    angles are: a page full of ink has no limb anywhere.

    Args:
        images: ``[n, 11, 9]``, pixels in [0, 1].

    Raises:
        ValueError: another shape, or NaN.

    Example:
        >>> poses, images = stick_figures()
        >>> bool((read_limbs(images).argmax(-1) == poses).all())
        True
        >>> float(read_limbs(torch.ones(1, 11, 9)).max())
        0.0
    """
    images = query_points(images, SHAPE)
    own = torch.einsum("nhw,lahw->nla", images, _masks().to(images)) / 2
    others = (own.sum(-1, keepdim=True) - own) / 2
    return own * (1 - others)


def limb(name: str, angle: str) -> Rule:
    """The statement "this limb is at this angle" about images: a value to make rules of.

    Raises:
        ValueError: a limb or an angle that does not exist.

    Example: who lifts the left arm lifts the right leg.
        >>> rule = limb("left arm", "up") >> limb("right leg", "up")
        >>> _, images = stick_figures()
        >>> float(rule(images).mean())  # it fails where the arm is up and the leg is not: 2/9
        0.7777777777777778
    """
    if name not in LIMBS or angle not in ANGLES:
        raise ValueError(
            f"Expected a limb among {', '.join(LIMBS)} and an angle among {', '.join(ANGLES)}, got "
            f"{name!r} and {angle!r}."
        )
    i, a = LIMBS.index(name), ANGLES.index(angle)
    return Rule(lambda images: read_limbs(images)[:, i, a], f"{name} {angle}")


def match_pose(pose: tuple[int, int, int, int]) -> Rule:
    """The constraint that a figure holds this pose: the mean of its four limbs' matches.

    Example:
        >>> poses, images = stick_figures()
        >>> match_pose((0, 0, 0, 1))(images)[:4]
        tensor([0.7500, 1.0000, 0.7500, 0.5000], dtype=torch.float64)
    """
    if len(pose) != 4 or not set(pose) <= {0, 1, 2}:
        raise ValueError(f"Expected four angles among 0, 1 and 2, one a limb, got {pose}.")
    pairs = zip(LIMBS, pose, strict=True)
    return average(*(limb(name, ANGLES[angle]) for name, angle in pairs))


def limb_product(law: Tensor) -> Tensor:
    """Maximum likelihood among generators that draw each limb by itself: the product of margins.

    Args:
        law: over the 81 poses.

    Returns:
        ``[81]``: a family for :func:`genlab.knowledge.pr_em`.

    Example:
        >>> law = torch.zeros(81)
        >>> law[[0, 80]] = 0.5
        >>> limb_product(law)[0]  # four coins
        tensor(0.0625)
    """
    cube = law.reshape(3, 3, 3, 3)
    margins = [cube.sum([j for j in range(4) if j != i]) for i in range(4)]
    return torch.einsum("a,b,c,d->abcd", *margins).flatten()


def _masks() -> Tensor:
    """Where each limb draws at each angle, ``[4, 3, 11, 9]``."""
    masks = torch.zeros(4, 3, *SHAPE, dtype=torch.float64)
    for i, pixels in enumerate((_ARM, _ARM, _LEG, _LEG)):
        for a, strokes in enumerate(pixels):
            for row, column in strokes:
                masks[i, a, row, 8 - column if i % 2 else column] = 1
    return masks
