"""Our input equals what an image processor of transformers makes, pixel by pixel, or the processor is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from zoo import ModelError, Preprocessing
from zoo.inference.views import Views
from zoo.references.processors import SLACK, ForeignProcessor, of_transformers
from zoo.report.rotation_strips import rotation_strip

transformers = pytest.importorskip("transformers", reason="pip install 'symdata[transformers]'")

EXACT = 1e-3
"""Gray levels: processors that resize bytes agree to float32 rounding."""

CLASSIFIERS = (
    "Beit Bit Blip BridgeTower Chameleon ChineseCLIP CLIP ConvNext DeiT DPT EfficientNet Flava Janus Levit MobileNetV1 "
    "MobileNetV2 MobileViT Perceiver PoolFormer PromptDepthAnything Pvt Segformer SegGpt Siglip ViT"
).split()
"""Their default processors make one square of any image."""

REFUSED = {
    "Donut": r"makes images 2560x1920 \(.*do_pad=True, do_thumbnail=True\), expected squares",
    "Fuyu": "gives images, .*, expected pixel_values",
    "GLPN": r"makes 96x96 of 96x96 pixels and 160x160 of 160x160 \(.*size_divisor=32\), expected one size",
    "Idefics3": r"makes an array \(17, 3, 364, 364\) .*do_image_splitting=True.*expected \(3, H, W\)",
    "ImageGPT": "fails on an image of 96x96 .* Clusters must be provided .*do_color_quantize=True",
    "Siglip2": r"makes an array \(256, 768\) of an image \(.*patch_size=16\), expected \(3, H, W\)",
    "VideoMAE": r"makes an array \(1, 3, 224, 224\) of an image",
}


def opened(kind: str, **options):
    """The processor of a kind, and ours of it."""
    theirs = getattr(transformers, f"{kind}ImageProcessorPil")(**options)
    return theirs, of_transformers(theirs, kind, 3)


def images(gray: bool, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(height)
    coarse = torch.randint(0, 256, (1, 1 if gray else 3, 7, 5), generator=generator).float()
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth + 20 * torch.randn(smooth.shape, generator=generator)).clamp(0, 255).byte()


def apart(theirs, ours: Preprocessing, pixels: torch.Tensor) -> float:
    """The largest difference between their output and our input, in gray levels."""
    picture = pixels.expand(-1, 3, -1, -1)[0].permute(1, 2, 0).numpy()
    wanted = torch.as_tensor(np.asarray(theirs(images=[Image.fromarray(picture)], return_tensors="np")["pixel_values"]))
    assert ours(pixels).shape == wanted.shape
    return float(((ours(pixels) - wanted).abs() * 255 * torch.tensor(ours.std)[:, None, None]).max())


@pytest.mark.parametrize("gray", [False, True], ids=["colour", "gray"])
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_the_input_is_that_of_the_processor(kind, gray):
    theirs, ours = opened(kind)
    for size in ((64, 64), (40, 57), (301, 240)):
        assert apart(theirs, ours, images(gray, *size)) < EXACT


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("EfficientNet", {"include_top": False}),
        ("EfficientNet", {"rescale_offset": True, "rescale_factor": 1 / 127.5}),
        ("EfficientNet", {"do_center_crop": True}),
        ("MobileViT", {"do_flip_channel_order": False, "size": {"shortest_edge": 40}, "crop_size": 32}),
        ("ConvNext", {"size": {"shortest_edge": 64}, "crop_pct": 0.5, "resample": 3}),
        ("ViT", {"do_normalize": False, "size": {"height": 28, "width": 28}}),
        ("ViT", {"do_rescale": False, "do_normalize": False}),
        ("CLIP", {"size": {"shortest_edge": 32}, "crop_size": {"height": 48, "width": 48}}),  # pads with zeros
        ("ViT", {"image_mean": [0.1, 0.5, 0.7], "image_std": [0.2, 0.3, 0.4]}),
    ],
    ids=str,
)
def test_its_settings_are_followed(kind, options):
    theirs, ours = opened(kind, **options)
    assert apart(theirs, ours, images(False, 50, 70)) < EXACT
    other = opened(kind, **options, resample=0)[0] if "resample" not in options else opened(kind)[0]
    wanted = np.asarray(other(images=list(images(False, 50, 70).permute(0, 2, 3, 1).numpy()))["pixel_values"])
    assert ours(images(False, 50, 70)).shape != wanted.shape or apart(other, ours, images(False, 50, 70)) > 1


@pytest.mark.parametrize(("kind", "least"), [("EfficientNet", 100), ("MobileViT", 20), ("Levit", 20), ("ViT", None)])
def test_the_numbers_of_the_processor_alone_give_another_input(kind, least):
    """The negative control: resized to the size and normalised with the numbers that it names, as for other models."""
    theirs, ours = opened(kind)
    numbers = (theirs.image_mean, theirs.image_std) if theirs.do_normalize else ((0.0,) * 3, (1.0,) * 3)
    named = apart(theirs, Preprocessing(ours.size, *map(tuple, numbers)), images(False, 64, 64))
    assert named < 2 if least is None else named > least


@pytest.mark.parametrize("kind", REFUSED)
def test_a_processor_that_cannot_be_followed_is_refused(kind):
    with pytest.raises(ModelError, match=f"{kind}: its processor {REFUSED[kind]}"):
        opened(kind)


@pytest.mark.slow
def test_every_processor_of_the_library_is_followed_or_refused():
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    names = {kinds["pil"] for kinds in IMAGE_PROCESSOR_MAPPING_NAMES.values() if kinds.get("pil")}
    followed, refused = 0, 0
    for name in sorted(names - {f"{kind}ImageProcessorPil" for kind in CLASSIFIERS}):
        try:
            theirs = getattr(transformers, name)()
        except ImportError:
            continue  # it needs a library that is not here
        try:
            ours = of_transformers(theirs, name, 3)
        except ModelError as error:
            refused += str(error).startswith(f"{name}: its processor ")
            continue
        # Some make bytes last, others resize floats: then our bytes are at most half a gray level off.
        assert apart(theirs, ours, images(False, 64, 64)) < SLACK, name
        followed += 1
    assert followed >= 20 and refused >= 20


def test_images_that_it_does_not_make_square_are_refused():
    ours = opened("Vilt")[1]
    assert ours(images(False, 64, 64)).shape == (1, 3, 384, 384)
    with pytest.raises(ModelError, match=r"makes 352x608 of an image of 40x70 pixels \(.*, expected 384x384; crop"):
        ours(images(False, 40, 70))


def by(function):
    return ForeignProcessor(lambda image: function(np.asarray(image.resize((8, 8)), float).transpose(2, 0, 1)), "m", 3)


def test_what_is_not_linear_in_the_gray_levels_is_refused():
    assert by(lambda x: x / 255).std == (1.0, 1.0, 1.0)
    for bad in (np.sqrt, np.zeros_like, lambda x: -x, lambda x: (x - x.mean()) / (x.std() + 1e-6)):
        with pytest.raises(ModelError, match="of black, gray and white, expected a straight line"):
            by(bad)
    with pytest.raises(ModelError, match=r"stand for gray levels from -.*, expected 0 to 255"):
        by(lambda x: x + 9 * (x - x.mean((1, 2), keepdims=True)))  # more contrast
    with pytest.raises(ModelError, match="fails on an image of 96x96 pixels and 3 channels: ZeroDivisionError"):
        by(lambda x: x / (1 // 0))


def test_a_processor_of_one_channel():
    theirs = transformers.ViTImageProcessorPil(size=28, image_mean=[0.13], image_std=[0.31])
    ours = of_transformers(theirs, "digits", 1)
    assert ours.channels == 1 and ours.mean == (0.13,) and ours.std == (0.31,)
    pixels = images(True, 40, 40)
    wanted = theirs(images=[Image.fromarray(pixels[0, 0].numpy())], return_tensors="pt")["pixel_values"]
    assert torch.allclose(ours(pixels), wanted, atol=1e-5)


def test_a_model_that_reads_blue_first_is_shown_in_the_colours_of_its_images():
    model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    orders = {}
    for kind in ("MobileViT", "ViT"):
        square = {"height": 40, "width": 40}
        size = {"size": {"shortest_edge": 40}, "crop_size": square} if kind == "MobileViT" else {"size": square}
        _, ours = opened(kind, **size)
        orders[kind] = ours.colours
        red = torch.zeros(1, 3, 40, 40, dtype=torch.uint8)
        red[:, 0] = 200
        fitted = ours.fitted(red)
        for known, pixels in ((ours, red), (ours.after_fit, fitted)):
            frames = rotation_strip(model, pixels, 0, known, "background").frames
            middle = [frame.pixels[:, frame.pixels.shape[1] // 2, frame.pixels.shape[2] // 2] for frame in frames]
            assert all(abs(int(r) - 200) < 2 and int(g) < 2 and int(b) < 2 for r, g, b in middle), kind
        noise = images(gray=False, height=40, width=40)
        assert torch.equal(Views(noise, ours).upright, ours(noise)), "the model itself gets what its processor makes"
    assert orders == {"MobileViT": (2, 1, 0), "ViT": (0, 1, 2)}


def test_moved_images_are_cropped_once():
    _, ours = opened("ConvNext", size={"shortest_edge": 32}, crop_pct=0.5)
    noise = images(gray=False, height=40, width=57)
    assert torch.equal(Views(noise, ours).upright, ours(noise))
    assert not torch.equal(ours(ours.fitted(noise)), ours(noise)), "negative control: twice is another image"
