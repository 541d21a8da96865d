"""Training: from a dataset folder and a config to a model folder.

config.py      every choice of a run, checked          recipe.py   the same as YAML
data.py        images in memory, those held out        plan.py     a run checked before its first step
batches.py     batches, augmented                      shifts.py   random shifts
loop.py        the loop                                schedule.py optimiser and learning rate
state.py       weights and history                     meter.py    loss and accuracy
callback.py    what is called after every epoch        weighting.py class weights
seeds.py       a run for each of several seeds
run_folder.py  the folder while it runs, resuming      record.py   what config.json holds of the training
engine.py      accelerate                              result.py   a finished model, for a person
own_network.py a network of the user's own             history.py  its losses, epoch by epoch
one_call.py    `zoo.train`
"""

from typing import TYPE_CHECKING

from symdata.lazy import lazy_names

if TYPE_CHECKING:
    from zoo.training.callback import Callback as Callback
    from zoo.training.callback import EpochView as EpochView
    from zoo.training.config import TrainConfig as TrainConfig
    from zoo.training.history import TrainingHistory as TrainingHistory
    from zoo.training.loop import train as train
    from zoo.training.meter import DivergedError as DivergedError
    from zoo.training.plan import TrainingPlan as TrainingPlan
    from zoo.training.plan import prepare as prepare
    from zoo.training.recipe import read_recipe as read_recipe
    from zoo.training.result import TrainedModel as TrainedModel
    from zoo.training.seeds import TrainedSeeds as TrainedSeeds
    from zoo.training.seeds import train_seeds as train_seeds

__getattr__, __dir__, __all__ = lazy_names(__name__)
