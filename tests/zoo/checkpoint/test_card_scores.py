"""Scores by class, and a mismatch of poses, on the card of a model."""

import json
from dataclasses import replace

import torch

from tests.support import checkpoints
from tests.support.reports import evaluation, report, strange_numbers
from zoo.checkpoint.card import render_card
from zoo.checkpoint.manifest import read_config
from zoo.evaluation.class_scores import ClassScores
from zoo.evaluation.pose_mismatch import PoseMismatch
from zoo.measure.estimates import Rate

whole = checkpoints.whole


def evaluated():
    """The made-up report, and the scores of the same images: of class k some are taken for the class after it."""
    said = report()
    matrix = torch.zeros(4, 4, dtype=torch.int64)
    for k, rate in enumerate(said.by_class):
        matrix[k, k], matrix[k, (k + 1) % 4] = rate.correct, rate.count - rate.correct
    labels = torch.arange(4).repeat_interleave(matrix.sum(1))
    predicted = torch.cat([torch.arange(4).repeat_interleave(row) for row in matrix])
    return replace(said, scores=ClassScores.of(torch.eye(4)[predicted], labels))


def test_the_card_has_scores_and_confusion_matrix_and_no_number_of_its_own(whole):
    said = evaluated()
    fields = json.loads(json.dumps(said.to_dict()))
    config = read_config(whole)
    card = render_card(config, fields)
    assert f"Upright, by class: {said.scores}." in card and "| true | a | b | c | d |" in card
    assert "| a | 301 | 7 | 0 | 0 |" in card and "\n\n\n" not in card
    assert not strange_numbers(card.replace(said.scores.cells[2], ""), config, fields)


def test_the_card_of_an_older_evaluation_has_neither(whole):
    """Negative control."""
    card = render_card(read_config(whole), evaluation())
    assert "by class" not in card and "another pose" not in card and "| true |" not in card


def test_a_mismatch_of_poses_is_said_before_the_accuracies(whole):
    found = PoseMismatch("r90m", (), Rate(52, 100), Rate(96, 100), 1e-9)
    card = render_card(read_config(whole), json.loads(json.dumps(replace(evaluated(), mismatch=found).to_dict())))
    assert card.index("**The images may be in another pose") < card.index("| upright |")
