"""The packages that symdata uses: which ones it needs, which ones an extra needs, and how to import each."""

BASE = {
    "torch": "torch",
    "kornia": "kornia",
    "datasets": "datasets",
    "huggingface-hub": "huggingface_hub",
    "filelock": "filelock",
    "safetensors": "safetensors.torch",
    "numpy": "numpy",
    "pyarrow": "pyarrow.parquet",
    "pandas": "pandas",  # imported by datasets
    "pillow": "PIL.Image",
    "matplotlib": "matplotlib",
    "isal": "isal.isal_zlib",
    "zlib-ng": "zlib_ng.zlib_ng",
    "click": "click",
    "jinja2": "jinja2",
    "pyyaml": "yaml",
    "tqdm": "tqdm",
    "packaging": "packaging",
}
"""Distribution -> the module whose import shows that it works. symdata does not run without all of them."""

ESCNN_NEEDS = ("scipy", "joblib", "pymanopt", "autograd")
"""What escnn imports for groups acting on the plane, some of it only when it first solves for a basis."""

EXTRAS = {
    "accelerate": ("train", "the training loop of `symdata train`"),
    "tensorboard": ("trackers", "curves of a training in TensorBoard"),
    "trackio": ("trackers", "curves of a training in trackio"),
    "transformers": ("transformers", "models given as hf:folder or hf:user/model"),
    "timm": ("timm", "models given as timm:name"),
}
"""Distribution -> the extra that needs it, and what it is for."""

_SAME = ("escnn", *ESCNN_NEEDS, *EXTRAS, "py3nj", "torchvision")
OPTIONAL = {name: name for name in _SAME} | {"lie-learn": "lie_learn"}
"""As BASE, for the packages that only extras need, or that may break others."""

PURPOSE = {
    **dict.fromkeys(ESCNN_NEEDS, "only for escnn"),
    "scipy": "for matching channels (zoo.alignment), and for escnn",
    **dict.fromkeys(("lie-learn", "py3nj"), "only for SO(3); the plane does without"),
    "torchvision": "not needed",
}
"""What an optional package outside of EXTRAS is for."""

NUMPY_FLOORS = (
    ("pyarrow", "26", "2", "pyarrow>=24,<26"),
    ("pandas", "3.1", "2.0.2", "pandas>=3.0,<3.1"),
)
"""Distribution, from which version on, the least numpy that it needs without declaring it, and older versions."""
