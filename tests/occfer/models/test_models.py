import math
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from torch import nn
from torch.nn import functional

from occfer.errors import ConfigError, MethodError, UnknownNameError
from occfer.models import BACKBONES, Stem, timm_backbone
from occfer.models.backbones import IMAGENET_MEAN, IMAGENET_STD
from occfer.models.classifier import Classifier, build_classifier
from occfer.models.decoder import Decoder, width_of
from occfer.models.discriminator import Discriminator
from occfer.models.seeding import weight_seed

SIZES_PX = (48, 88, 144, 224)  # the paper's: CK+, RAF-DB, SFEW, AffectNet
FEATURE_SIDES = {48: 6, 88: 11, 144: 18, 224: 28}
# One of each family of timm: residual, inverted residual, pooled before the last convolution, layer norm, dense.
TIMM = ("resnet18", "efficientnet_b0", "mobilenetv3_small_100", "convnext_atto", "densenet121")
ALL = [*BACKBONES, *(f"timm:{name}" for name in TIMM)]


def faces(count: int = 2, size_px: int = 48) -> torch.Tensor:
    return torch.rand(count, 3, size_px, size_px, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ALL)
def test_a_branch_is_the_published_network_with_another_head(name: str) -> None:
    classifier = build_classifier(name, 7).eval()
    images = faces()
    constants = ((0.5,) * 3, (0.5,) * 3) if name == "ir50" else (IMAGENET_MEAN, IMAGENET_STD)
    mean, std = map(torch.tensor, constants)
    normalised = (images - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(classifier(images), classifier.network(normalised))


@pytest.mark.parametrize("name", ALL)
def test_cutting_at_the_feature_changes_nothing(name: str) -> None:
    """Nor does an in-place activation after the cut change h under the discriminator's eyes."""
    classifier = build_classifier(name, 5).eval()
    images = faces()
    features, logits = classifier.both(images)
    assert features.shape == (2, classifier.feature_channels, 6, 6)
    assert logits.shape == (2, 5)
    assert torch.equal(features, classifier.features(images))
    assert torch.equal(logits, classifier(images))


@pytest.mark.parametrize("name", ALL)
def test_gradients_reach_the_feature_and_what_lies_before_it(name: str) -> None:
    classifier = build_classifier(name, 5)
    features, logits = classifier.both(faces())
    (gradient,) = torch.autograd.grad(logits.sum(), features, retain_graph=True)
    assert gradient.abs().sum() > 0
    (gradient,) = torch.autograd.grad(features.square().sum(), next(classifier.parameters()))
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("name", [name for name in ALL if name != "timm:convnext_atto"])
def test_the_small_stem_doubles_every_later_map_and_has_the_same_weights(name: str) -> None:
    full, small = build_classifier(name, 5).eval(), build_classifier(name, 5, stem="small").eval()
    small.load_state_dict(full.state_dict())
    assert (full.feature_stride, small.feature_stride) == (8, 4)
    with torch.no_grad():
        features, doubled = full.features(faces(1, 48)), small.features(faces(1, 48))
        assert features.shape[-1] == 6 and doubled.shape[-1] == 12
        assert small(faces(1, 48)).shape == (1, 5)
        assert not torch.equal(full(faces(1, 48)), small(faces(1, 48)))


def test_a_network_that_begins_with_patches_has_no_small_stem() -> None:
    with pytest.raises(ConfigError, match="--stem small: this backbone does not begin with a stride of 2"):
        build_classifier("timm:convnext_atto", 7, stem="small")


@pytest.mark.parametrize("network_px", [32, 48, 96, 112])
@pytest.mark.parametrize("stem", ["full", "small"])
def test_faces_are_enlarged_inside_the_network(network_px: int, stem: Stem) -> None:
    plain = build_classifier("mobilenet_v2", 7, stem=stem).eval()
    larger = build_classifier("mobilenet_v2", 7, stem=stem, size_px=48, network_px=network_px).eval()
    larger.load_state_dict(plain.state_dict())
    images = faces(2, 48)
    resized = functional.interpolate(images, (network_px, network_px), mode="bilinear", antialias=network_px < 48)
    assert torch.equal(larger(images), plain(resized))
    assert larger.features(images).shape[-1] == pytest.approx(48 / larger.feature_stride)
    assert larger.feature_stride == (8 if stem == "full" else 4) * 48 / network_px


def test_a_face_that_shrinks_is_filtered_first() -> None:
    """A grid of single pixels is grey when it shrinks, not black or white by chance."""
    classifier = build_classifier("mobilenet_v2", 7, size_px=48, network_px=16).eval()
    grid = torch.zeros(1, 3, 48, 48)
    grid[..., ::2] = 1
    seen: list[torch.Tensor] = []
    classifier.network.get_submodule("features.0.0").register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    classifier(grid)
    pixels = seen[0] * torch.tensor(IMAGENET_STD)[:, None, None] + torch.tensor(IMAGENET_MEAN)[:, None, None]
    assert (pixels - 0.5).abs().max() < 0.1  # without the filter, every pixel is 0 or 1


@pytest.mark.parametrize("name", BACKBONES)
def test_the_feature_is_the_last_map_at_stride_eight(name: str) -> None:
    """Found by running the trunk module by module, not by what the table says."""
    backbone = BACKBONES[name]
    network, maps = build_classifier(name, 7).eval().network, faces(1, 64)
    last = ""
    for part in backbone.trunk:
        maps = network.get_submodule(part)(maps)
        last = part if maps.shape[-1] == 64 // 8 else last
    assert backbone.feature_node == last
    assert backbone.lower + backbone.upper == backbone.trunk


def test_resnet50_is_the_default_and_has_the_papers_feature() -> None:
    assert next(iter(BACKBONES)) == "resnet50"
    with torch.no_grad():
        features = build_classifier("resnet50", 7).eval().features(faces(1, 224))
    assert features.shape == (1, 512, 28, 28)


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_sizes_of_the_feature(size_px: int) -> None:
    with torch.no_grad():
        features = build_classifier("mobilenet_v2", 7).eval().features(faces(1, size_px))
    assert features.shape[-2:] == (FEATURE_SIDES[size_px],) * 2


def test_only_weights_are_saved() -> None:
    keys = build_classifier("resnet18", 7).state_dict().keys()
    assert all(key.startswith("network.") for key in keys)
    assert build_classifier("mobilenet_v2", 7).head_prefix == "network.classifier.1."


def test_an_unknown_backbone_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown backbone 'vgg'; choose one of: resnet50, .*, or timm:NAME"):
        build_classifier("vgg", 7)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timm:resnett18", r"has no such network; near are timm:resnet18"),
        ("timm:", r"has no such network"),
        ("timm:hf-hub:somebody/network", r"has no such network"),
        ("timm:resnet18.never", r"cannot build it \(Invalid pretrained tag \(never\)"),
        ("timm:vit_tiny_patch16_224", r"has no map of stride 8 that timm can hand out"),
        ("timm:swin_tiny_patch4_window7_224", r"takes only pictures of 224 x 224 px"),
        ("timm:resnetv2_50", r"does not end in one linear layer"),
    ],
)
def test_a_network_of_timm_that_cannot_be_a_backbone_is_refused(name: str, said: str) -> None:
    with pytest.raises(UnknownNameError, match=f"--backbone {name}.*{said}") as raised:
        build_classifier(name, 7)
    assert "\n" not in str(raised.value)


def test_without_timm_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm_backbone, "find_spec", lambda name: None if name == "timm" else find_spec(name))
    with pytest.raises(UnknownNameError, match=r"needs timm: pip install 'occsynth\[timm\]'"):
        build_classifier("timm:resnet26", 7)


def test_ir50_has_the_names_and_sizes_of_the_weights_that_are_passed_on() -> None:
    """24 blocks; with its embedding of 512 numbers, which we leave out, there are 43,574,976 parameters."""
    state = build_classifier("ir50", 7).network.state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes["input_layer.0.weight"] == (64, 3, 3, 3) and shapes["input_layer.2.weight"] == (64,)
    assert shapes["body.3.shortcut_layer.0.weight"] == (128, 64, 1, 1)
    assert shapes["body.23.res_layer.3.weight"] == (512, 512, 3, 3)
    assert not any(name.startswith(("body.0.shortcut_layer", "body.24.", "output_layer.")) for name in shapes)
    constants = ("running_mean", "running_var", "num_batches_tracked")
    body = sum(
        each.numel() for name, each in state.items() if not name.startswith("fc.") and not name.endswith(constants)
    )
    embedding = 2 * 512 + (512 * 7 * 7 * 512 + 512) + 2 * 512
    assert body + embedding == 43_574_976


def test_a_backbone_whose_head_is_not_a_linear_layer_is_refused() -> None:
    backbone = replace(BACKBONES["resnet18"], head="layer4")
    with pytest.raises(TypeError, match="head 'layer4' is a Sequential"):
        Classifier(backbone, 7)


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_the_discriminator_ends_at_one_logit(size_px: int) -> None:
    discriminator = Discriminator(32)
    side = FEATURE_SIDES[size_px]
    features = torch.randn(3, 32, side, side)
    assert discriminator.maps(features).shape == (3, 1, 1, 1)
    assert torch.equal(discriminator(features), discriminator.maps(features)[:, 0, 0, 0])


def test_a_larger_map_gives_the_mean_of_its_logits() -> None:
    discriminator = Discriminator(8)
    features = torch.randn(2, 8, 40, 72)
    maps = discriminator.maps(features)
    assert maps.shape == (2, 1, 2, 3)
    torch.testing.assert_close(discriminator(features), maps.flatten(1).mean(dim=1))


def test_the_discriminator_stays_in_float32_under_autocast() -> None:
    discriminator = Discriminator(16)
    features = torch.rand(7, 16, 3, 3, generator=torch.Generator().manual_seed(1)).bfloat16()

    def passed() -> list[torch.Tensor]:
        logits = discriminator(features)
        parameters = list(discriminator.parameters())
        return [logits, *torch.autograd.grad(logits.sum(), parameters)]

    with torch.autocast("cpu", torch.bfloat16):
        mixed = passed()
    features = features.float()
    for inside, outside in zip(mixed, passed(), strict=True):
        assert inside.dtype == torch.float32 and torch.equal(inside, outside)


def test_the_discriminator_has_five_convolutions() -> None:
    layers = [layer for layer in Discriminator(512).modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [128, 256, 512, 1024, 1]
    assert all(layer.kernel_size == (3, 3) and layer.stride == (2, 2) and layer.padding == (1, 1) for layer in layers)


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_the_decoder_restores_the_size(size_px: int) -> None:
    side = FEATURE_SIDES[size_px]
    with torch.no_grad():
        picture = Decoder(32).eval()(torch.randn(1, 32, side, side), (size_px, size_px))
    assert picture.shape == (1, 3, size_px, size_px)
    assert picture.min() >= 0
    assert picture.max() <= 1


def test_the_decoder_has_three_deconvolutions() -> None:
    layers = [layer for layer in Decoder(512).modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [(layer.in_channels, layer.out_channels) for layer in layers] == [(512, 256), (256, 128), (128, 3)]
    assert all(layer.kernel_size == (4, 4) and layer.stride == (2, 2) for layer in layers)


@pytest.mark.parametrize(
    ("stride", "doubles"),
    [
        (8.0, [True, True, True]),
        (4.0, [False, True, True]),
        (8 * 48 / 112, [False, True, True]),  # the network sees 48 px at 112
        (8 * 48 / 96, [False, True, True]),
        (8 * 48 / 224, [False, False, True]),
        (0.5, [False, False, False]),
    ],
)
def test_the_decoder_doubles_as_often_as_the_stride_asks(stride: float, doubles: list[bool]) -> None:
    decoder = Decoder(32, stride).eval()
    layers = [layer for layer in decoder.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.stride == (2, 2) for layer in layers] == doubles
    side = math.ceil(48 / stride)
    with torch.no_grad():
        picture = decoder(torch.randn(1, 32, side, side), (48, 48))
        raw = decoder.layers(torch.randn(1, 32, side, side))
    assert picture.shape == (1, 3, 48, 48) and 48 <= raw.shape[-1] < 112


def test_a_decoder_averages_a_larger_picture_down() -> None:
    """At 112 px for 48, 14 cells become 56 px: a pixel of 48 is the mean of what it covers of them."""
    decoder = Decoder(4, 8 * 48 / 112).eval()
    with torch.no_grad():
        features = torch.randn(1, 4, 14, 14)
        raw = decoder.layers(features)
        picture = decoder(features, (48, 48))
    assert raw.shape[-1] == 56
    torch.testing.assert_close(picture.mean(), raw.mean(), atol=5e-3, rtol=0)
    torch.testing.assert_close(picture[..., 0, 0], raw[..., :2, :2].mean(dim=(2, 3)))


def test_a_stride_that_the_decoder_cannot_restore_is_refused() -> None:
    with pytest.raises(MethodError, match="a stride of 16 px, and the decoder's 3 layers restore 8 at most"):
        Decoder(32, 16.0)


def test_an_old_decoders_weights_fit() -> None:
    shapes = {
        "layers.0.weight": (64, 256, 4, 4), "layers.3.weight": (256, 128, 4, 4), "layers.6.weight": (128, 3, 4, 4),
        "layers.6.bias": (3,),
    }  # fmt: skip
    found = {name: tuple(value.shape) for name, value in Decoder(64).state_dict().items()}
    assert {name: found[name] for name in shapes} == shapes
    narrow = Decoder(64, width=32)
    assert [width_of(each.state_dict()) for each in (narrow, Decoder(64))] == [32, 256]


def drawn(seed: int, part: str) -> torch.Tensor:
    with weight_seed(seed, part):
        return nn.Linear(3, 2).weight.detach().clone()


def test_weights_follow_from_seed_and_part_alone() -> None:
    first = drawn(0, "occluded")
    torch.rand(5)
    assert torch.equal(drawn(0, "occluded"), first)
    assert not torch.equal(drawn(0, "clean"), first)
    assert not torch.equal(drawn(1, "occluded"), first)


def test_weight_seed_puts_the_random_stream_back() -> None:
    before = torch.get_rng_state()
    drawn(0, "occluded")
    assert torch.equal(torch.get_rng_state(), before)
