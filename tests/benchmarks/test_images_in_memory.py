import torch
from images_in_memory import ViewsInBatches, colours, crop, pack_images, packed
from torchvision.transforms import functional as F

from tests import tiny


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_crops_are_inside_the_image_and_as_large_as_asked_for():
    """Of images that hold their own coordinates."""
    side = torch.arange(16.)
    ramps = torch.stack([side.expand(16, 16), side[:, None].expand(16, 16), torch.zeros(16, 16)]).expand(500, 3, 16, 16)
    x, y, zero = crop(ramps, (0.2, 1.), generator()).unbind(1)
    across, down = x[:, 8, 9] - x[:, 8, 8], y[:, 9, 8] - y[:, 8, 8]  # of the image, a pixel; away from the borders
    torch.testing.assert_close(x[:, 8], x[:, 3])
    torch.testing.assert_close(y[:, :, 8], y[:, :, 3])
    assert (zero == 0).all() and 0.4 < (across < 0).float().mean() < 0.6 and (down > 0).all()
    area, ratio = across.abs() * down, across.abs() / down
    assert area.min() > 0.19 and area.max() <= 1.001 and 0.4 < area.mean() < 0.65
    assert ratio.min() > 0.74 and ratio.max() < 1.34
    centre = (x[:, 8, 8] + x[:, 8, 7]) / 2 - 7.5
    assert (centre.abs() <= 8 * (1 - across.abs()) + 1e-3).all() and centre.abs().max() > 3


def test_colours_are_torchvisions():
    """Brightness, contrast and saturation of each image in turn."""
    images = 100 + 40 * torch.rand(8, 3, 5, 5, generator=generator(1))
    changed = colours(images, generator(), strength=(0.4, 0.4, 0.4, 0.), gray=0.)
    factors = torch.rand(7, 8, generator=generator())
    jittered = factors[4] < 0.8
    assert 0 < jittered.sum() < 8
    for index, image in enumerate(images.flip(1) / 255):  # RGB
        if jittered[index]:
            brightness, contrast, saturation = (0.6 + 0.8 * factors[:3, index]).tolist()
            image = F.adjust_saturation(F.adjust_contrast(F.adjust_brightness(image, brightness), contrast), saturation)
        torch.testing.assert_close(changed[index].flip(0) / 255, image, rtol=0, atol=2e-3)


def test_hue_keeps_brightness_and_gray():
    images = 100 + 40 * torch.rand(8, 3, 5, 5, generator=generator(1))
    turned = colours(images, generator(), strength=(0., 0., 0., 0.1), jitter=1., gray=0.)
    torch.testing.assert_close(turned.sum(1), images.sum(1))
    torch.testing.assert_close(turned.std(1), images.std(1))
    assert ((turned - images).abs().amax((1, 2, 3)) > 0.1).all()
    gray = images[:, :1].expand(8, 3, 5, 5)
    torch.testing.assert_close(colours(gray, generator(), strength=(0., 0., 0., 0.1), jitter=1., gray=0.), gray)


def test_some_images_lose_their_colours_and_some_are_solarized():
    images = 255 * torch.rand(400, 3, 4, 4, generator=generator(1))
    gray = colours(images, generator(), jitter=0., gray=0.2)
    lost = gray.std(1).amax((1, 2)) < 1e-3
    assert 0.13 < lost.float().mean() < 0.27
    torch.testing.assert_close(gray[~lost], images[~lost])
    solarized = colours(images, generator(), jitter=0., gray=0., solarize=0.2)
    inverted = (solarized - images).abs().amax((1, 2, 3)) > 1e-3
    assert 0.13 < inverted.float().mean() < 0.27
    torch.testing.assert_close(solarized[inverted], torch.where(images >= 128, 255 - images, images)[inverted])


def test_views_follow_from_the_first_images_seed(tmp_path):
    pack_images(tiny.labelled_photos(tmp_path) / 'train', 16, tmp_path / 'train.pt')
    images, labels = packed(str(tmp_path / 'train.pt')).values()
    assert images.shape == (18, 3, 16, 16) and images.dtype == torch.uint8
    assert labels.bincount().tolist() == [6, 6, 6] and (labels.diff() < 0).any()  # in mixed order
    assert images[labels == 0].float().mean((0, 2, 3)).argmax() == 2  # the first class, blue, is tinted in the first of RGB
    preprocessor = ViewsInBatches(views=[{}, None], mean=[0.] * 3, std=[1.] * 3, to_rgb=False)

    def views(seed: int) -> list[torch.Tensor]:
        return preprocessor(dict(inputs=images, data_samples=torch.tensor([seed, *range(17)])), True)['inputs']

    first, again, other = views(2**62), views(2**62), views(1)
    assert all(map(torch.equal, first, again)) and not torch.equal(first[0], other[0])
    assert [view.shape for view in first] == [images.shape] * 2 and not torch.equal(*first)

