"""EasyOCR's CRAFT network on whole pages: where characters are, and where two of them belong to one word.

page    uint8 RGB (H, W, 3), as EasyOCR decodes it
canvas  uint8 (h, w, 3): the page resized and padded with zeros to sides that 32 divides, by EasyOCR's rules
maps    float32 (h / 2, w / 2), what `easyocr.Reader.detect` makes its boxes of

Weights and layers are EasyOCR's, imported; only how they run is ours. Batch normalizations are folded into the
convolutions before them, tensors lie channels last, and on a CPU the layers at full and half resolution, whose
outputs alone fill 1.2 GB for a page of 300 dpi, run a strip of rows at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import torch
from easyocr.craft import CRAFT
from easyocr.detection import copyStateDict
from torch.nn.functional import interpolate
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ocr.networks.easyocr_files import DETECTOR, find_weights

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's RGB, in 0 to 1; EasyOCR's constants
STRIDE = 32
STRIP_ROWS = 128  # on a CPU: of a strip's input, without its halo
BATCH_PIXELS = 40_000_000  # on a GPU: of the canvases that run at once


class Maps(msgspec.Struct, frozen=True, eq=False):
    """What CRAFT says about one page. The maps reach past the page, as the canvas does.

    text_HW        float32: a hill on each character, 0 to about 1
    link_HW        float32: a hill between two neighboring characters of one word
    scale          page pixels per map pixel
    width, height  of the page, in its pixels
    """

    text_HW: np.ndarray
    link_HW: np.ndarray
    scale: float
    width: int
    height: int


class Craft(msgspec.Struct, frozen=True, eq=False):
    """CRAFT on a device, with what differs between devices: the type it computes in, and the rows of a strip."""

    network: Network
    device: str
    dtype: torch.dtype
    strip_rows: int


class Network(torch.nn.Module):
    """CRAFT for inference: VGG-16 down to 1/16 of the page, and a U-net's way up to half of it."""

    def __init__(self, craft: CRAFT) -> None:
        super().__init__()
        vgg = craft.basenet
        self.start = folded(vgg.slice1)
        self.down = torch.nn.ModuleList(folded(layers) for layers in (vgg.slice2, vgg.slice3, vgg.slice4, vgg.slice5))
        self.up = torch.nn.ModuleList(folded(layers.conv) for layers in (craft.upconv1, craft.upconv2, craft.upconv3))
        self.top = folded([*craft.upconv4.conv, *craft.conv_cls])

    def forward(self, input_B3HW: torch.Tensor, strip_rows: int) -> torch.Tensor:
        """Text and link map, (B, 2, H / 2, W / 2)."""
        features = in_strips(self.start, [input_B3HW], strip_rows, halo=8, shrink=2)
        # The next slice begins with a ReLU in place, so what the way up sees of this one is rectified, as in EasyOCR.
        skips = [features]
        for layers in self.down:
            features = layers(features)
            skips.append(features)
        features = skips.pop()
        for layers in self.up:
            skip = skips.pop()
            features = layers(torch.cat([enlarged(features, skip), skip], dim=1))
        skip = skips.pop()
        return in_strips(self.top, [enlarged(features, skip), skip], strip_rows // 2, halo=4, shrink=1)


def folded(layers: Iterable[torch.nn.Module]) -> torch.nn.Sequential:
    """The layers, with each batch normalization made part of the convolution before it."""
    kept: list[Any] = []
    for layer in layers:
        if isinstance(layer, torch.nn.BatchNorm2d):
            kept[-1] = fuse_conv_bn_eval(kept[-1], layer)
        else:
            kept.append(layer)
    return torch.nn.Sequential(*kept)


def enlarged(features_BCHW: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
    return interpolate(features_BCHW, size=to.shape[2:], mode="bilinear", align_corners=False)


def in_strips(
    layers: torch.nn.Module, inputs: Sequence[torch.Tensor], rows: int, halo: int, shrink: int
) -> torch.Tensor:
    """The layers' output for inputs side by side as channels, computed from `rows` rows at a time.

    `halo` is how many rows up or down the layers look, rounded up to a multiple of `shrink`, the factor by which the
    output is smaller: where a strip ends, the layers pad with zeros, and what that falsifies is cut off.
    """
    height, strips = inputs[0].shape[2], []
    for top in range(0, height, rows):
        above, bottom = max(top - halo, 0), min(top + rows, height)
        strip = torch.cat([each[:, :, above : bottom + halo] for each in inputs], dim=1)
        strips.append(layers(strip)[:, :, (top - above) // shrink : (bottom - above) // shrink])
    return torch.cat(strips, dim=2)


def load_craft(easyocr_dir: Path, device: str) -> Craft:
    """CRAFT on "cpu" or "cuda", with EasyOCR's weights, found by `ocr.networks.easyocr_files.find_weights`.

    On a GPU it computes in bfloat16: float32's range, and maps that are off by 0.0002 on average and by 0.02 at
    most (measured on a CPU).
    """
    path = find_weights(DETECTOR, easyocr_dir)
    with torch.device("meta"):  # EasyOCR would fill 140 million weights, most of them VGG's classifier, at random
        craft = CRAFT()
    craft.load_state_dict(copyStateDict(torch.load(path, map_location="cpu", weights_only=True)), assign=True)
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    network = Network(craft.eval()).eval().requires_grad_(False)
    network = network.to(memory_format=torch.channels_last).to(device, dtype)
    return Craft(network, device, dtype, STRIP_ROWS if device == "cpu" else 1 << 30)


def maps_of(craft: Craft, pages: Sequence[np.ndarray], canvas_size: int, mag_ratio: float) -> list[Maps]:
    """The maps of pages, in their order. Pages whose canvases are equally large run together on a GPU."""
    canvases = [canvas_of(page, canvas_size, mag_ratio) for page in pages]
    maps: dict[int, Maps] = {}
    for numbers in batches([canvas.shape for canvas, _ in canvases], 0 if craft.device == "cpu" else BATCH_PIXELS):
        maps_B2HW = run(craft, np.stack([canvases[number][0] for number in numbers]))
        for number, (text_HW, link_HW) in zip(numbers, maps_B2HW, strict=True):
            height, width = pages[number].shape[:2]
            maps[number] = Maps(text_HW, link_HW, 2 * canvases[number][1], width, height)
    return [maps[number] for number in range(len(pages))]


def canvas_of(page: np.ndarray, canvas_size: int, mag_ratio: float) -> tuple[np.ndarray, float]:
    """The canvas of a page, and page pixels per canvas pixel.

    EasyOCR's rules: the longer side becomes `mag_ratio` times what it is, `canvas_size` at most.
    """
    height, width = page.shape[:2]
    ratio = min(mag_ratio * max(height, width), canvas_size) / max(height, width)
    rows, columns = max(int(height * ratio), 1), max(int(width * ratio), 1)
    canvas = np.zeros((rows + -rows % STRIDE, columns + -columns % STRIDE, 3), np.uint8)
    canvas[:rows, :columns] = cv2.resize(page, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return canvas, 1 / ratio


def batches(shapes: Sequence[tuple[int, ...]], max_pixels: int) -> list[list[int]]:
    """Numbers of canvases that may run together: of one shape, with at most `max_pixels`, or one alone."""
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, shape in enumerate(shapes):
        alike[shape].append(number)
    found = []
    for (height, width, *_), numbers in alike.items():
        size = max(max_pixels // (height * width), 1)
        found += [numbers[start : start + size] for start in range(0, len(numbers), size)]
    return found


@torch.inference_mode()
def run(craft: Craft, canvases_BHW3: np.ndarray) -> np.ndarray:
    """Both maps of canvases of one size, float32 (B, 2, H / 2, W / 2)."""
    # A view in another order of axes is what torch calls channels last.
    pixels = torch.from_numpy(canvases_BHW3).to(craft.device).permute(0, 3, 1, 2).float()
    mean, deviation = (
        torch.tensor([each * 255.0 for each in of_channels], device=craft.device).view(3, 1, 1)
        for of_channels in (MEAN, DEVIATION)
    )
    inputs = pixels.sub_(mean).div_(deviation).to(craft.dtype)
    maps: np.ndarray = craft.network(inputs, craft.strip_rows).float().cpu().contiguous().numpy()
    return maps
