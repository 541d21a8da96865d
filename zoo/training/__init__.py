"""Training: from a dataset folder and a config to a model folder.

config.py    every choice of a run, validated        recipe.py   the same as YAML
data.py      images in memory, batches               plan.py     a run checked before its first step
loop.py      the loop                                schedule.py optimiser and learning rate
trainee.py   weights and history                     meter.py    loss and accuracy
folder.py    the folder while it runs, resuming      record.py   what the model says of its training
engine.py    accelerate
"""

from zoo.training.config import TrainConfig
from zoo.training.loop import train
from zoo.training.meter import DivergedError
from zoo.training.plan import TrainingPlan, prepare
from zoo.training.recipe import read_recipe

__all__ = ["DivergedError", "TrainConfig", "TrainingPlan", "prepare", "read_recipe", "train"]
